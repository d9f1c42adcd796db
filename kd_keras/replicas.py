"""Replicas in a training step: their number, gathered examples, one common state."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

# Types that TensorFlow's CollectiveGatherV2 takes; other numbers are cast to one of these.
_GATHERED_DTYPES = ("float16", "float32", "float64", "int32", "int64")


def count() -> int:
    """The number of replicas that run the current step together."""
    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def gathered(value: tf.Tensor) -> tf.Tensor:
    """The examples of all replicas in one tensor, in replica order; differentiable, any dtype."""
    if count() == 1:
        return value
    # A part of the input has no device, and with one replica in a process gathering needs one.
    own_values = tf.identity(tf.cast(value, _gathered_dtype(value.dtype)))
    all_values = tf.distribute.get_replica_context().all_gather(own_values, axis=0)
    all_values = tf.ensure_shape(all_values, (None, *value.shape[1:]))  # gathering loses the shape
    return tf.cast(all_values, value.dtype)


def summed(value: tf.Tensor) -> tf.Tensor:
    """The sum over the replicas of a number that each of them has."""
    if count() == 1:
        return value
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)


def averaged(value: tf.Tensor) -> tf.Tensor:
    """The mean over the replicas of a state that each of them has, such as a moving statistic.

    Keras does not average them: it evaluates with all of them, but saves that of the first replica.
    """
    if count() == 1 or not value.dtype.is_floating:  # a counter is equal on all replicas
        return value
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, value)


@contextlib.contextmanager
def shared_state(model: keras.Model, seeds: Sequence[Any], offset: Any) -> Iterator[None]:
    """Lets every replica run `model` in the block; afterwards all of them have the same state.

    Floats, such as moving statistics, become their mean over the replicas. Frozen weights do not
    change.

    Args:
        model: model that runs in the block, in training mode.
        seeds: the model's variables that hold states of random generators.
        offset: number to add to this replica's seeds in the block, so that masks differ.
    """
    if count() == 1:
        yield
        return
    states = [v for layer in model._flatten_layers() for v in layer._non_trainable_variables]
    floats = [state for state in states if keras.backend.is_float_dtype(state.dtype)]
    old_values = [tf.convert_to_tensor(state.value) for state in floats]
    for seed in seeds:
        seed.assign(seed.value + offset)
    try:
        yield
    finally:
        for seed in seeds:
            seed.assign(seed.value - offset)
    # Averaging the changes leaves a state without a change equal to the last bit.
    changes = [state.value - value for state, value in zip(floats, old_values, strict=True)]
    for state, value, change in zip(floats, old_values, changes, strict=True):
        state.assign(value + averaged(change))


def require_made_here(model: keras.Model) -> None:
    """Raises ValueError unless the model's variables live on the current strategy's devices."""
    strategy = tf.distribute.get_strategy().extended
    if not all(strategy.variable_created_in_scope(variable.value) for variable in model.variables):
        raise ValueError(
            f"student {model.name!r} and the Distiller are made under different strategies; "
            "expected one. Make student, teacher and Distiller in one `with strategy.scope():`."
        )


def synchronize(layer: keras.Layer) -> None:
    """Lets the batch norms inside `layer` use the batches of all replicas, as on one device."""
    for sublayer in layer._flatten_layers():
        if isinstance(sublayer, keras.layers.BatchNormalization) and count() > 1:
            sublayer.synchronized = True


def after_data(step: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps a step (model, data) so that it changes nothing before its data has arrived.

    If the number of batches is unknown, Keras starts one step too many. Its operations that need no
    data (the optimizer's count, weight decay) would run. A step compiled by XLA waits by itself.
    """

    @functools.wraps(step)
    def step_after_data(model: Any, data: Any) -> Any:
        arrays = [] if model.jit_compile else tf.nest.flatten(data, expand_composites=True)
        with tf.control_dependencies([array for array in arrays if tf.is_tensor(array)]):
            return step(model, data)

    return step_after_data


def _gathered_dtype(dtype: tf.DType) -> str:
    """A dtype that all-gather takes and that can hold every value of `dtype`."""
    if dtype.name in _GATHERED_DTYPES:
        return str(dtype.name)
    if dtype.is_floating:
        return "float32"
    return "int64" if dtype.size > 2 else "int32"
