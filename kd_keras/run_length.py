"""How far a run is: what warm-ups and first stages go by."""

from typing import Any

import keras
from keras import ops

Tensor = Any


class RunLength(keras.callbacks.Callback):
    """Tells the model the run's length, epochs times steps, unless it was told before."""

    def on_train_begin(self, logs: Any = None) -> None:
        steps, epochs = self.params["steps"], self.params["epochs"]
        if self.model.total_steps is None and steps is not None:
            self.model.total_steps = steps * epochs
            self.model.make_train_function(force=True)


def share_done(model: Any) -> Tensor:
    """Share of the run that is done, scalar, 0 to 1, by the optimizer's count of steps.

    Raises:
        ValueError: a method changes over the run, and its length is not known.
    """
    if model.total_steps is None:
        needing = [method.name for method in model.methods if method.needs_progress]
        if needing:
            raise ValueError(
                f"{needing} change over the run, whose length is not known. Give fit a data set of "
                "known cardinality or steps_per_epoch, or set distiller.total_steps."
            )
        return ops.convert_to_tensor(1.0)
    return ops.minimum(ops.cast(model.optimizer.iterations, "float32") / model.total_steps, 1.0)
