"""Base class of the methods that compare one feature of each model."""

from typing import Unpack

from kd_keras import check
from kd_keras.methods.base import CommonKnobs, Method


class OneTapKnobs(CommonKnobs, total=False):
    """Knobs of every method that reads one tap, see `OneTap`."""

    tap: str | None
    student_tap: str | None
    teacher_tap: str | None


class OneTap(Method):
    """Names the tap of each model.

    Args:
        tap: name of the feature in both models, e.g. "stage3"; None: `default_tap`.
        student_tap, teacher_tap: its name in one model, where it differs from `tap`.
        common: `weight`, `ce_weight`, `warmup`, `name`, see `Method`.
    """

    default_tap = "pooled"

    def __init__(
        self,
        *,
        tap: str | None = None,
        student_tap: str | None = None,
        teacher_tap: str | None = None,
        **common: Unpack[CommonKnobs],
    ):
        super().__init__(**common)
        tap = self.default_tap if tap is None else tap
        taps = {"tap": tap, "student_tap": student_tap, "teacher_tap": teacher_tap}
        for knob, value in taps.items():
            value = tap if value is None else value
            check.text(knob, value, remedy="Name a layer, such as 'stage3'.")
        self.tap = tap
        self.student_tap = student_tap
        self.teacher_tap = teacher_tap

    @property
    def student_taps(self) -> tuple[str, ...]:
        return (self.student_tap or self.tap,)

    @property
    def teacher_taps(self) -> tuple[str, ...]:
        return (self.teacher_tap or self.tap,)
