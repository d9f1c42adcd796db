"""The progress of a run, on which warm-ups and first stages depend.

Every `fit` is a run of its own: the share that is done counts the steps since it began, of
epochs * steps an epoch. With `initial_epoch` the epochs before it count as done. Where
`total_steps` is set, several fits make one run: all steps that the optimizer ever took count, of
`total_steps`. Steps outside `fit` (`train_on_batch`) go on with the run of the last `fit`.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kd_keras.tensor_types import Tensor


class Run:
    """The state of a model's run, in variables, so that changes do not retrace the step.

    Attributes:
        start: steps that the optimizer had taken when the run began, below 0 where epochs before
            `initial_epoch` count as done.
        length: steps from the run's begin to its end.
    """

    def __init__(self) -> None:
        self.start = keras.Variable(0, dtype="int64", trainable=False, name="run_start")
        self.length = keras.Variable(1.0, dtype="float32", trainable=False, name="run_length")


class RunProgress(keras.callbacks.Callback):
    """Sets, during `fit`, the run that each model's steps belong to, and its stage.

    Args:
        models: the models that train in this `fit`; None is the model that fits.
    """

    def __init__(self, models: Sequence[Any] | None = None) -> None:
        super().__init__()
        self._models = models
        self._begun = False

    def on_train_begin(self, logs: Any = None) -> None:
        self._begun = False
        steps, epochs = self.params["steps"], self.params["epochs"]
        length = None if steps is None else steps * epochs
        # A traced step knows whether there is a length, and reads how long it is.
        stale = [(m.run_steps is None) != (length is None) and not m.total_steps for m in self.each]
        for model in self.each:
            model.run_steps = length
            model.run.length.assign(length or 1.0)
        if any(stale):
            self.model.make_train_function(force=True)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self._begun:
            return
        self._begun = True  # here the first epoch is known, also where a backup was restored
        for model in self.each:
            before = epoch * (self.params["steps"] or 0)
            model.run.start.assign(steps_taken(model) - before)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        enter_stage(self.model, self.each)

    @property
    def each(self) -> Sequence[Any]:
        """The models that train."""
        return [self.model] if self._models is None else self._models


def with_progress(callbacks: Any, models: Sequence[Any] | None = None) -> list[Any]:
    """The callbacks of a `fit`, with a `RunProgress` before them.

    Args:
        callbacks: as `fit` takes them. Those of a `CallbackList` are taken out of it, since Keras
            tells the number of steps only to a list that it makes.
        models: as of `RunProgress`.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = callbacks.callbacks
    return [RunProgress(models), *keras.tree.flatten(callbacks or [])]


def enter_stage(fitted: Any, models: Sequence[Any]) -> None:
    """Sets the current stage of each model's run; a new stage is traced with the next step.

    With `steps_per_execution` above 1 a stage begins with the first call of the compiled step that
    starts in it.

    Args:
        fitted: the model whose `train_function` runs the steps.
        models: the models that train in it: `fitted` itself, or those that it trains side by side.
    """
    changed = False
    for model in models:
        if len(model.stages) > 1:
            share = _share_done_now(model)
            stage = max(start for start in model.stages if start <= share)
            changed |= stage != model.stage
            model.stage = stage
    if changed:
        fitted.make_train_function(force=True)


def fraction_done(model: Any) -> Tensor:
    """Progress of the run before the step, scalar, 0 to 1.

    A step is a batch, also where the optimizer gathers gradients over several.

    Raises:
        ValueError: a method changes over the run, and its length is not known.
    """
    if not model.total_steps and model.run_steps is None:
        needing = [method.name for method in model.methods if method.needs_progress]
        if needing:
            raise ValueError(
                f"methods {needing} depend on the progress of the run, whose number of steps is "
                "unknown; expected a known one. Give fit a dataset of known cardinality or "
                "steps_per_epoch, or set distiller.total_steps."
            )
        return ops.convert_to_tensor(1.0)
    steps = ops.cast(_counter(model), "int64")
    if model.total_steps:
        share = ops.cast(steps, "float32") / model.total_steps
    else:
        steps = steps - ops.convert_to_tensor(model.run.start)
        share = ops.cast(steps, "float32") / ops.convert_to_tensor(model.run.length)
    return ops.clip(share, 0.0, 1.0)


def steps_taken(model: Any) -> int:
    """Number of batches that the optimizer has processed; call it outside traced steps."""
    return int(_counter(model).numpy()) if model.optimizer.built else 0


def _share_done_now(model: Any) -> float:
    """`fraction_done`, read outside any traced step."""
    if not model.optimizer.built:
        return 0.0
    steps = steps_taken(model)
    if model.total_steps:
        return min(steps / int(model.total_steps), 1.0)
    if model.run_steps is None:
        return float(fraction_done(model))
    return min((steps - int(model.run.start.numpy())) / float(model.run.length.numpy()), 1.0)


def _counter(model: Any) -> Any:
    """The optimizer's count of batches; its public one counts updates, of several batches each."""
    return getattr(model.optimizer, "inner_optimizer", model.optimizer)._iterations
