"""One device or several: which ones, and what Keras needs mended where there are several."""

import functools
import re
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

Tensor = Any


@functools.cache
def get(devices: str | None = None) -> tf.distribute.Strategy:
    """The strategy for the devices named; always the same object in a process.

    Args:
        devices: "cpu:N" for N logical CPU devices, "gpu:N" for the first N GPUs, None for all
            visible GPUs, or the CPU where there is none.

    Raises:
        ValueError: unknown form, more GPUs than there are, or TensorFlow already started with
            other CPU devices.
    """
    visible = tf.config.list_physical_devices("GPU")
    gpus = [gpu.name.removeprefix("/physical_device:") for gpu in visible]
    if devices is None:
        return tf.distribute.MirroredStrategy(gpus) if len(gpus) > 1 else _default()
    match = re.fullmatch(r"(cpu|gpu):([1-9]\d*)", devices)
    if match is None:
        raise ValueError(
            f"devices is {devices!r}; expected cpu:N or gpu:N with N >= 1, such as cpu:2 or gpu:4."
        )
    kind, count = match[1], int(match[2])
    if kind == "gpu" and count > len(gpus):
        raise ValueError(
            f"devices is {devices!r}; this machine shows {len(gpus)} GPUs. Ask for at most that "
            "many, or leave --devices out."
        )
    if kind == "gpu":
        return tf.distribute.MirroredStrategy(gpus[:count])
    _split_cpu(count)
    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(count)])


def replicas() -> int:
    """How many replicas run the current step together."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def gathered(value: Tensor) -> Tensor:
    """Every replica's examples in one tensor, in replica order; differentiable."""
    if replicas() == 1:
        return value
    everyone_s = tf.distribute.get_replica_context().all_gather(value, axis=0)
    return tf.ensure_shape(everyone_s, (None, *value.shape[1:]))  # the gathering forgets it


def averaged(value: Tensor) -> Tensor:
    """The mean over the replicas of a state that each keeps, such as a moving statistic.

    Keras leaves them apart, and evaluates with all of them but saves the first one's.
    """
    if replicas() == 1 or not value.dtype.is_floating:  # a count is the same on all of them
        return value
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, value)


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
        if isinstance(part, keras.layers.BatchNormalization) and replicas() > 1:
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


class ReplicaModel(keras.Model):
    """A Keras model whose fit and evaluate also work over several replicas."""

    train_function: Any
    test_function: Any
    #: True while `evaluate` runs, also the one within `fit`.
    evaluating = False

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.evaluate`."""
        return self._while_evaluating(super().evaluate, *args, **kwargs)

    def test_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.test_on_batch`."""
        return self._while_evaluating(super().test_on_batch, *args, **kwargs)

    def _while_evaluating(self, evaluate: Any, *args: Any, **kwargs: Any) -> Any:
        self.evaluating = True
        try:
            return evaluate(*args, **kwargs)
        finally:
            self.evaluating = False

    def chosen_step(self, run: Callable[[Callable[..., Any]], Any]) -> Any:
        """`run(step)` with the training step to take now; a model with several chooses here.

        Replicas cannot meet within one of two branches, so they are run within the choice.
        """
        return run(self.train_step)

    def make_train_function(self, force: bool = False) -> None:
        if not self.optimizer.built:  # once, before the step is traced
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)
        if self.distribute_strategy.num_replicas_in_sync == 1:
            super().make_train_function(force)
        elif self.train_function is None or force:
            self.train_function = step_function(self, self.chosen_step)

    def make_test_function(self, force: bool = False) -> None:
        if self.distribute_strategy.num_replicas_in_sync == 1:
            super().make_test_function(force)
        elif self.test_function is None or force:
            self.test_function = step_function(self, lambda run: run(self.test_step))


def step_function(model: Any, chosen_step: Callable[..., Any]) -> Callable[[Any], Any]:
    """A compiled function from a data iterator to logs, for several replicas.

    Keras's own fails under replicas with `steps_per_execution` above 1 (keras issue 19246).

    Args:
        model: whose metrics are the logs.
        chosen_step: see `ReplicaModel.chosen_step`.
    """
    strategy, repeats = model.distribute_strategy, model.steps_per_execution

    @after_data
    def step_on(model: Any, batch: Any) -> None:
        def run(step: Callable[..., Any]) -> Tensor:
            strategy.run(tf.autograph.experimental.do_not_convert(step), args=(batch,))
            return tf.zeros(())  # a branch must give something

        chosen_step(run)

    def run(iterator: Any) -> dict[str, Tensor]:
        step_on(model, next(iterator))
        if repeats > 1:  # or a second step would be traced that never runs
            for _ in tf.range(repeats - 1):
                batch = iterator.get_next_as_optional()
                if batch.has_value():  # an epoch need not be a multiple of `repeats`
                    step_on(model, batch.get_value())
        logs = strategy.run(model.get_metrics_result)
        return {name: strategy.reduce("MEAN", value, axis=None) for name, value in logs.items()}

    return run if model.run_eagerly else tf.function(run)


def _default() -> tf.distribute.Strategy:
    return tf.distribute.get_strategy()


def _split_cpu(count: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    wanted = [tf.config.LogicalDeviceConfiguration()] * count
    try:
        tf.config.set_logical_device_configuration(cpu, wanted)
    except RuntimeError as error:
        if len(tf.config.list_logical_devices("CPU")) < count:
            raise ValueError(
                f"devices is 'cpu:{count}', but TensorFlow has already started with "
                f"{len(tf.config.list_logical_devices('CPU'))} CPU devices. Choose the devices "
                "before any other use of TensorFlow in the process."
            ) from error
