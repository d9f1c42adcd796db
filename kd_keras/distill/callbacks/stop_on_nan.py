"""Stops training when a loss or weight becomes NaN or infinite; says where, and what to try."""

import math
from collections.abc import Mapping
from typing import Any

import keras

from kd_keras.graph import finite

LABEL_TERM = "ce"
_LOWER = (
    "Lower the learning rate (--learning-rate) or the weights of the methods, train in float32 "
    "(--precision float32)"
)


class NonFiniteError(ValueError):
    """A loss, gradient or weight became NaN or infinite; the message says where and what to do."""


def require_finite_weights(model: keras.Model, what: str, when: str) -> None:
    """Raises NonFiniteError if a trained weight or a moving statistic is NaN or infinite.

    Args:
        model: what trains.
        what: its name for the message; "" for none.
        when: the step or the epoch, such as "in epoch 3".
    """
    non_finite = finite.describe_non_finite(model.trainable_variables + finite.statistics(model))
    if non_finite:
        raise NonFiniteError(
            f"{_subject(what)} weights became NaN or infinite {when}, while the loss stayed "
            f"finite: {non_finite}. {_LOWER}, or clip the gradients (global_clipnorm of the "
            "optimizer, --clip-norm). Check that no image holds a NaN."
        )


def _subject(what: str) -> str:
    return f"{what}: the" if what else "The"


class StopOnNaN(keras.callbacks.Callback):
    """Raises NonFiniteError when a loss or weight becomes NaN or infinite, in any `fit`.

    Keras logs the epoch's running means, which are finite until the first bad step and never again,
    so the first bad log is the step, and the terms that are bad in it are the cause. The check
    costs some comparisons: Keras on TensorFlow converts the logs to numbers at every step anyway
    (`CallbackList._on_train_batch_end`). A step may also make weights NaN while the loss is finite.
    So the trained weights, and the validation logs, are checked at the end of each epoch. Put it
    first: callbacks after it then save nothing of such an epoch.

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
        logs = logs or {}
        not_finite = [
            name for name in ("agreement", "loss") if not math.isfinite(logs.get(name, 0.0))
        ]
        if not_finite:
            raise NonFiniteError(self._message(batch + 1, logs, not_finite))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        require_finite_weights(self.model, self.what, f"in epoch {epoch + 1}")
        names = ["val_loss", *(f"val_{term}" for term in self._terms), "val_agreement"]
        not_finite = [name for name in names if not math.isfinite((logs or {}).get(name, 0.0))]
        if not_finite:
            raise NonFiniteError(
                f"{self._subject} {not_finite[0]} became {(logs or {})[not_finite[0]]} in epoch "
                f"{epoch + 1}; expected a finite number. {_LOWER}."
            )

    @property
    def _subject(self) -> str:
        return _subject(self.what)

    @property
    def _terms(self) -> list[str]:
        methods = getattr(self.model, "methods", ())
        return [LABEL_TERM, *(method.name for method in methods)]

    def _message(self, step: int, logs: Mapping[str, Any], not_finite: list[str]) -> str:
        steps = self.model.steps_per_execution
        range_text = f" or up to {steps - 1} steps before" if steps > 1 else ""
        location = f"at step {step} of epoch {self._epoch + 1}{range_text}"
        if "agreement" in not_finite:
            return (
                f"{self._subject} teacher's outputs became NaN or infinite {location}; expected "
                "finite numbers. Check the teacher's file or cache, and the pixel values that it "
                "expects (--teacher-preprocess), train in float32, or give another teacher."
            )
        terms = [name for name in self._terms if not math.isfinite(logs.get(name, 0.0))]
        if getattr(self.model, "no_label_known", False):  # NaN stands for no value then
            terms = [name for name in terms if name != LABEL_TERM]
        fault = f"{self._subject} loss became {logs['loss']} {location}; expected a finite number. "
        if terms and LABEL_TERM not in terms:
            return (
                f"{fault}The loss of {' and '.join(terms)} is not finite, the "
                f"cross-entropy with the labels is. {_LOWER}, start {terms[0]} slowly (warmup=0.1, "
                f"--method {terms[0]}:warmup=0.1){self._about_ids()}."
            )
        cross_entropy_text = "The cross-entropy with the labels is not finite. " if terms else ""
        return (
            f"{fault}{cross_entropy_text}{_LOWER}, or fix labels outside 0 to C - 1 for C "
            f"classes{self._about_ids()}."
        )

    def _about_ids(self) -> str:
        remembers = any(method.needs_ids for method in getattr(self.model, "methods", ()))
        return ", or fix ids that are not below a method's num_examples" if remembers else ""
