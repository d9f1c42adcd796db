"""Stops a training whose numbers are no numbers any more, and says where and what to try."""

import math
from typing import Any

import keras


class NotFinite(ValueError):
    """A loss, gradient or weight became NaN or infinite; the message says where and what to do."""


class StopOnNaN(keras.callbacks.Callback):
    """Raises NotFinite, with the step, once the loss is NaN or infinite.

    Keras logs the epoch's running mean, which is finite until the first bad step and never again,
    so the first bad log is the step. The check costs one comparison: Keras on TensorFlow converts
    the logs to numbers at every step anyway (`CallbackList._on_train_batch_end`).

    Args:
        what: what trains, in a word or two, for the message.
    """

    def __init__(self, what: str = "") -> None:
        super().__init__()
        self.what = what
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise NotFinite(self._message(batch + 1, loss))

    def _message(self, step: int, loss: float) -> str:
        every = self.model.steps_per_execution
        within = f" or up to {every - 1} steps before" if every > 1 else ""
        remembers = any(method.needs_ids for method in getattr(self.model, "methods", ()))
        ids = ", or fix ids that are not below a method's num_examples" if remembers else ""
        subject = f"{self.what}: the" if self.what else "The"
        return (
            f"{subject} loss became {loss} at step {step} of epoch {self._epoch + 1}{within}; "
            "expected a finite number. Lower --learning-rate or the weights of the methods, set "
            f"--precision float32, or fix labels outside 0 to C - 1 for C classes{ids}."
        )
