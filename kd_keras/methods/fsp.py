"""Flow of the solution procedure: how features change from stage to stage, before labels are used.

Loss: sum over neighbouring taps of the mean over entries of (G_s - G_t)^2. G[c, d] is the mean over
places of a_c * b_d, where a are the channels of one tap and b those of the next.

Source: Yim et al. 2017, "A Gift from Knowledge Distillation: Fast Optimization, Network
Minimization and Transfer Learning", CVPR 2017, section 3. Defaults: weight 50 and a first stage of
one ninth of the run, as in later comparisons of the method. After the first stage only the labels
are learned. Reads at least two feature maps of each model. Channels must be equal, tap by tap; of
two neighbours the larger map is average-pooled. Each example has its own loss.
"""

import itertools
from collections.abc import Sequence
from typing import Unpack

from keras import ops

from kd_keras import check
from kd_keras.methods.base import Batch, ExampleLosses, Outputs, Tensor
from kd_keras.methods.parts import channels, maps, tap_pairs, two_stage
from kd_keras.tensor_types import LossTerms


class FSP(channels.ProjectedMaps, two_stage.TwoStage):
    """Products of neighbouring features.

    Args:
        project: whether a trained 1x1 convolution of the student's map may make channels equal;
            otherwise different channels are an error.
        taps, student_taps, teacher_taps: see `TapPairs`; at least two.
        first_stage, main_stage_weight: see `TwoStage`.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "relations"
    supports_multi_label = True
    departures = (
        "Later comparisons also read the stem, which is not a standard tap here. "
        "`project=True` adds trained 1x1 convolutions that make channels equal."
    )
    default_weight = 50.0

    def __init__(self, *, project: bool = False, **common: Unpack[two_stage.TwoStageKnobs]):
        super().__init__(**common)
        channels.require_neighbours(self)
        self.project = check.one_of("project", project, (True, False))

    def loss(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        return fsp(*self.projected_maps(student, teacher))["loss"]


def fsp(student_features: Sequence[Tensor], teacher_features: Sequence[Tensor]) -> LossTerms:
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


def _flow(first: Tensor, second: Tensor) -> Tensor:
    """(B, C, D): the mean over places of the products of two maps' channels."""
    first, second = (maps.by_position(f) for f in tap_pairs.same_size(first, second))
    return ops.einsum("bpc,bpd->bcd", first, second) / first.shape[1]
