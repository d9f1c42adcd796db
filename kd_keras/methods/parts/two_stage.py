"""Base of methods whose cost prepares the student before it learns from the labels."""

from typing import Unpack

from keras import ops

from kd_keras import check
from kd_keras.methods.base import Batch, Outputs, Tensor
from kd_keras.methods.parts.tap_pairs import TapPairs, TapPairsCommon

#: 30 epochs before the 240 of the methods' later comparisons, as a share of all 270.
SHARE = 30 / 270


class TwoStageCommon(TapPairsCommon, total=False):
    """The settings of every method of two stages, see `TwoStage`."""

    first_stage: float
    main_stage_weight: float


class TwoStage(TapPairs):
    """Base of methods whose cost alone is trained first, and by default not at all afterwards.

    Args:
        first_stage: share of the run, 0 to 1, in which only this cost is trained.
        main_stage_weight: factor of the cost after that, >= 0, times `weight`.
        common: those of `TapPairs` and `Method`.
    """

    def __init__(
        self,
        *,
        first_stage: float = SHARE,
        main_stage_weight: float = 0.0,
        **common: Unpack[TapPairsCommon],
    ):
        super().__init__(**common)
        self.first_stage = check.number(
            f"{self.name}: first_stage", first_stage, at_least=0, at_most=1
        )
        self.main_stage_weight = check.number(
            f"{self.name}: main_stage_weight", main_stage_weight, at_least=0
        )

    def cost(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        """(B,) float32: the method's cost, whichever the stage."""
        raise TypeError(f"{type(self).__name__} defines no cost(); it must.")

    def first_stage_call(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return self.cost(student, teacher, batch)

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        if not self.main_stage_weight:
            return ops.zeros(ops.shape(batch.labels)[:1])  # nothing is computed for nothing
        return self.main_stage_weight * self.cost(student, teacher, batch)
