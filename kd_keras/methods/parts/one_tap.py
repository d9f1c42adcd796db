"""Base of the methods that compare one feature of each model."""

from typing import Any

from kd_keras import check
from kd_keras.methods.base import Method


class OneTap(Method):
    """Names the tap of each model.

    Args:
        tap: name of the feature in both models, e.g. "stage3".
        student_tap, teacher_tap: where the two models call it differently.
        others: `weight`, `ce_weight`, `warmup`, `name` of `Method`.
    """

    def __init__(
        self, *, tap: str, student_tap: str | None, teacher_tap: str | None, **others: Any
    ):
        super().__init__(**others)
        for knob in (tap, student_tap or tap, teacher_tap or tap):
            check.text(f"{self.name}: a tap", knob, remedy="Name a layer, such as 'stage3'.")
        self.tap = tap
        self.student_tap = student_tap
        self.teacher_tap = teacher_tap

    @property
    def student_taps(self) -> tuple[str, ...]:
        return (self.student_tap or self.tap,)

    @property
    def teacher_taps(self) -> tuple[str, ...]:
        return (self.teacher_tap or self.tap,)
