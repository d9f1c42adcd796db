"""Base class of methods whose loss is minimised before the student learns from the labels."""

from typing import Unpack

from keras import ops

from kd_keras import check
from kd_keras.methods.base import Batch, ExampleLosses, Outputs
from kd_keras.methods.parts.tap_pairs import TapPairs, TapPairsKnobs

#: Later comparisons of these methods train 30 epochs of this stage, then 240 others.
FIRST_STAGE_SHARE = 30 / 270


class TwoStageKnobs(TapPairsKnobs, total=False):
    """Knobs of every method of two stages, see `TwoStage`."""

    first_stage: float
    main_stage_weight: float


class TwoStage(TapPairs):
    """Minimises its loss in a first stage, without labels, and by default not at all afterwards.

    Args:
        first_stage: share of the run, 0 to 1, before the loss has the factor `main_stage_weight`.
            Labels, and methods without a first stage, wait for the longest one.
        main_stage_weight: factor of the loss after the first stage, >= 0; `weight` multiplies it.
        common: knobs of `TapPairs` and `Method`.
    """

    def __init__(
        self,
        *,
        first_stage: float = FIRST_STAGE_SHARE,
        main_stage_weight: float = 0.0,
        **common: Unpack[TapPairsKnobs],
    ):
        super().__init__(**common)
        self.first_stage = check.number("first_stage", first_stage, at_least=0, at_most=1)
        self.main_stage_weight = check.number("main_stage_weight", main_stage_weight, at_least=0)

    def loss(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        """(B,) float32: the method's loss, the same in both stages."""
        raise NotImplementedError(
            f"{type(self).__name__} has no loss(); expected a method that returns a loss per "
            "example. Define loss(self, student, teacher, batch)."
        )

    def first_stage_call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        return self.loss(student, teacher, batch)

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        if not self.main_stage_weight:
            return ops.zeros(ops.shape(batch.labels)[:1])  # skips a loss of weight 0
        return self.main_stage_weight * self.loss(student, teacher, batch)
