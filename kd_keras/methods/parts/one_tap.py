"""Base of the methods that compare one feature of each model."""

from typing import Any

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
        self.tap = tap
        self.student_tap = student_tap
        self.teacher_tap = teacher_tap

    @property
    def student_taps(self) -> tuple[str, ...]:
        return (self.student_tap or self.tap,)

    @property
    def teacher_taps(self) -> tuple[str, ...]:
        return (self.teacher_tap or self.tap,)
