"""What a step asks about replicas: how many there are, gathered examples, one common state."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

Tensor = Any
# What TensorFlow's CollectiveGatherV2 takes; other numbers travel as one of these.
_GATHERED_DTYPES = ("float16", "float32", "float64", "int32", "int64")


def count() -> int:
    """How many replicas run the current step together."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def gathered(value: Tensor) -> Tensor:
    """Every replica's examples in one tensor, in replica order; differentiable. Any numbers."""
    if count() == 1:
        return value
    sent = tf.cast(value, _gathered_dtype(value.dtype))
    everyone_s = tf.distribute.get_replica_context().all_gather(sent, axis=0)
    whole = tf.ensure_shape(everyone_s, (None, *value.shape[1:]))  # the gathering forgets it
    return tf.cast(whole, value.dtype)


def averaged(value: Tensor) -> Tensor:
    """The mean over the replicas of a state that each keeps, such as a moving statistic.

    Keras leaves them apart, and evaluates with all of them but saves the first one's.
    """
    if count() == 1 or not value.dtype.is_floating:  # a count is the same on all of them
        return value
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, value)


@contextlib.contextmanager
def one_state(model: keras.Model, seeds: Sequence[Any], offset: Any) -> Iterator[None]:
    """Lets every replica run `model` in the block, and keep one state of it afterwards.

    Floats, such as moving statistics, become the mean of what the replicas made of them. Frozen
    weights are left alone.

    Args:
        model: runs in the block as it is, in training.
        seeds: its states of random generators.
        offset: this replica's, added to the seeds in the block, so that masks differ.
    """
    if count() == 1:
        yield
        return
    own = [state for layer in model._flatten_layers() for state in layer._non_trainable_variables]
    kept = [state for state in own if keras.backend.is_float_dtype(state.dtype)]
    before = [tf.convert_to_tensor(state.value) for state in kept]
    for seed in seeds:
        seed.assign(seed.value + offset)
    yield
    for seed in seeds:
        seed.assign(seed.value - offset)
    # What did not change stays the same to the last bit, for any number of replicas.
    changes = [state.value - value for state, value in zip(kept, before, strict=True)]
    for state, value, change in zip(kept, before, changes, strict=True):
        state.assign(value + averaged(change))


def require_made_here(model: keras.Model) -> None:
    """Raises ValueError unless the model's variables live on the current strategy's devices."""
    here = tf.distribute.get_strategy().extended
    if not all(here.variable_created_in_scope(variable.value) for variable in model.variables):
        raise ValueError(
            f"student {model.name!r} and the Distiller are made under different strategies; "
            "expected one. Make student, teacher and Distiller in one `with strategy.scope():`."
        )


def synchronize(layer: keras.Layer) -> None:
    """Lets the batch norms inside `layer` see the batches of all replicas, as one device would."""
    for part in layer._flatten_layers():
        if isinstance(part, keras.layers.BatchNormalization) and count() > 1:
            part.synchronized = True


def after_data(step: Callable[..., Any]) -> Callable[..., Any]:
    """A step (model, data) none of whose effects come before its data.

    Where the number of batches is unknown, Keras starts one step too many, and all in it that needs
    no data (the optimizer's count, weight decay) would happen. A step compiled by XLA waits anyway.
    """

    @functools.wraps(step)
    def waiting(model: Any, data: Any) -> Any:
        awaited = [] if model.jit_compile else tf.nest.flatten(data, expand_composites=True)
        with tf.control_dependencies([part for part in awaited if tf.is_tensor(part)]):
            return step(model, data)

    return waiting


def _gathered_dtype(dtype: tf.DType) -> str:
    """A dtype that all-gather takes and that holds every value of `dtype`."""
    if dtype.name in _GATHERED_DTYPES:
        return str(dtype.name)
    if dtype.is_floating:
        return "float32"
    return "int64" if dtype.size > 2 else "int32"
