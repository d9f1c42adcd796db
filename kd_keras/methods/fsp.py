"""Flow of the solution procedure: how features turn into the next stage's, before labels.

Cost: sum over neighbouring taps of the mean over entries of (G_s - G_t)^2, with G[c, d] the mean
over places of a_c * b_d, a one tap's channels and b the next one's.

Source: Yim et al. 2017, "A Gift from Knowledge Distillation: Fast Optimization, Network
Minimization and Transfer Learning", CVPR 2017, section 3; weight 50 and the first ninth of the run
as the method's later comparisons use them; they also read the stem, which is no standard tap here.
Reads at least two feature maps of each model with equal channels, tap by tap; of two neighbours
the larger is average-pooled. Works per example. After the first stage the labels alone are trained.
`project=True`, a departure, lets trained 1x1 convolutions make channels equal.
"""

import itertools
from collections.abc import Sequence
from typing import Any, Unpack

from keras import ops

from kd_keras.methods.base import Batch, Outputs, Shapes, Tensor
from kd_keras.methods.parts import channels, maps, tap_pairs, two_stage


class FSP(two_stage.TwoStage):
    """Products of neighbouring features.

    Args:
        project: where channels differ, put a trained 1x1 convolution behind the student's map
            instead of refusing.
        taps, student_taps, teacher_taps: see `TapPairs`; at least two.
        first_stage, main_stage_weight: see `Prepares`.
        weight, ce_weight, warmup, name: see `Method`.
    """

    default_weight = 50.0

    def __init__(self, *, project: bool = False, **common: Unpack[two_stage.TwoStageCommon]):
        super().__init__(**common)
        channels.require_neighbours(self)
        self.project = project

    def build(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        self.projections = channels.projections(
            self, student_shape, teacher_shape, allowed=self.project
        )

    def cost(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        ours, theirs = maps.tapped(self, student, teacher)
        return fsp(channels.projected(self.projections, ours), theirs)["loss"]


def fsp(student_features: Sequence[Tensor], teacher_features: Sequence[Tensor]) -> dict[str, Any]:
    """Named parts of the method.

    Args:
        student_features: at least two, each (B, H, W, C) float, shallow to deep.
        teacher_features: as many of the same channels; sizes may differ; no gradient flows back.

    Returns:
        `loss`: (B,) float32, the sum over neighbours. `per_pair`: (taps - 1, B) float32.
    """
    teacher_features = [ops.stop_gradient(f) for f in teacher_features]
    per_pair = [
        ops.mean(ops.square(_flow(*student) - _flow(*teacher)), axis=(1, 2))
        for student, teacher in zip(
            itertools.pairwise(student_features), itertools.pairwise(teacher_features), strict=True
        )
    ]
    return {"loss": sum(per_pair), "per_pair": ops.stack(per_pair)}


def _flow(one: Tensor, following: Tensor) -> Tensor:
    """(B, C, D): the mean over places of the products of two maps' channels."""
    one, following = (maps.by_position(f) for f in tap_pairs.same_size(one, following))
    return ops.einsum("bpc,bpd->bcd", one, following) / one.shape[1]
