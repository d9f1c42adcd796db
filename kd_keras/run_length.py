"""How far a run is: what warm-ups and first stages go by."""

import functools
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

Tensor = Any


class RunLength(keras.callbacks.Callback):
    """Tells the model the run's length: what it was told, else epochs times steps."""

    def on_train_begin(self, logs: Any = None) -> None:
        steps, epochs = self.params["steps"], self.params["epochs"]
        found = None if steps is None else steps * epochs
        length = self.model.total_steps or found
        if length != self.model.run_steps:
            self.model.run_steps = length
            self.model.make_train_function(force=True)  # a traced step holds the length before


def share_done(model: Any) -> Tensor:
    """Share of the run that is done, scalar, 0 to 1, by the count of steps.

    Raises:
        ValueError: a method changes over the run, and its length is not known.
    """
    length = model.total_steps or model.run_steps
    if length is None:
        needing = [method.name for method in model.methods if method.needs_progress]
        if needing:
            raise ValueError(
                f"{needing} change over the run, whose length is not known. Give fit a data set of "
                "known cardinality or steps_per_epoch, or set distiller.total_steps."
            )
        return ops.convert_to_tensor(1.0)
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    steps = optimizer.iterations * (optimizer.gradient_accumulation_steps or 1)
    return ops.minimum(ops.cast(steps, "float32") / length, 1.0)


def in_stage(model: Any, starts: tuple[float, ...], run: Callable[[float], Any]) -> Any:
    """`run(start)` of the stage that the model's run is in; the others are traced at most.

    Args:
        model: see `share_done`.
        starts: shares of the run at which stages begin, rising, the first one 0.
        run: gives tensors of the same structure for each.
    """
    if len(starts) == 1:
        return run(starts[0])
    done = share_done(model)
    stage = sum(ops.cast(done >= start, "int32") for start in starts[1:])
    return ops.switch(stage, [functools.partial(run, start) for start in starts])
