"""Singular vectors: main channel patterns relate from stage to stage as the teacher's do.

Loss: sum over neighbouring taps (i, j) of sum over entries of (r(v_s) - r(v_t))^2 with
r(v)[c, d] = exp(-(v_i[c] - v_j[d])^2 / 8). v_t is the first right singular vector of the teacher's
(places x channels) matrix. v_s is the one of the student's first four that has the largest absolute
cosine with v_t; its sign makes the cosine positive.

Source: Lee, Kim, Song 2018, "Self-supervised Knowledge Distillation using Singular Value
Decomposition", arXiv:1807.06819, section 3, with one singular vector per tap. Defaults: weight 1,
as in later comparisons of the method. Reads at least two feature maps of each model. Channels must
be equal, tap by tap; sizes may differ. Each example has its own loss. The vectors come from an
eigendecomposition of the smaller Gram matrix, which is held constant. The student's vector follows
its features by first-order perturbation. That is the gradient of the SVD itself, but it stays
finite where singular values coincide. Costly: O(min(places, channels)^3) per example, tap and
model.
"""

import itertools
from collections.abc import Sequence
from typing import Unpack

from keras import ops

from kd_keras import check
from kd_keras.methods.base import Batch, ExampleLosses, Outputs, Tensor
from kd_keras.methods.parts import channels, maps, singular
from kd_keras.methods.parts.tap_pairs import TapPairsKnobs
from kd_keras.tensor_types import LossTerms

CANDIDATES = 4  # singular vectors of the student that may answer to the teacher's first
WIDTH = 8.0  # divisor in the radial basis function


class KDSVD(channels.ProjectedMaps):
    """Singular vectors of the teacher's features.

    Args:
        project: whether a trained 1x1 convolution of the student's map may make channels equal;
            otherwise different channels are an error.
        taps, student_taps, teacher_taps: see `TapPairs`; at least two.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "relations"
    supports_multi_label = True
    departures = "`project=True` adds trained 1x1 convolutions that make channels equal."

    def __init__(self, *, project: bool = False, **common: Unpack[TapPairsKnobs]):
        super().__init__(**common)
        channels.require_neighbours(self)
        self.project = check.one_of("project", project, (True, False))

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        return kdsvd(*self.projected_maps(student, teacher))["loss"]


def kdsvd(student_features: Sequence[Tensor], teacher_features: Sequence[Tensor]) -> LossTerms:
    """Named parts of the method.

    Args:
        student_features: at least two, each (B, H, W, C) float, shallow to deep.
        teacher_features: as many of the same channels; sizes may differ; no gradient flows back.

    Returns:
        `loss`: (B,) float32, the sum over neighbours. `per_pair`: (taps - 1, B) float32.
    """
    patterns = [_patterns(s, t) for s, t in zip(student_features, teacher_features, strict=True)]
    per_pair = [
        _relation_loss(*first_pair, *second_pair)
        for first_pair, second_pair in itertools.pairwise(patterns)
    ]
    return {"loss": sum(per_pair), "per_pair": ops.stack(per_pair)}


def _patterns(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """The two (B, C) vectors of one tap."""
    decomposition = singular.decompose(maps.by_position(ops.stop_gradient(teacher)))
    teacher_vectors = singular.leading_vector(decomposition)
    student_decomposition = singular.decompose(maps.by_position(student))
    return singular.nearest_vector(
        student_decomposition, teacher_vectors, among=CANDIDATES
    ), teacher_vectors


def _relation_loss(
    student: Tensor, teacher: Tensor, student_next: Tensor, teacher_next: Tensor
) -> Tensor:
    """(B,): sum over entries of the squared difference of the two networks' relations."""
    x = student_next[:, :, None] - student[:, None]  # (B, C', C)
    y = teacher_next[:, :, None] - teacher[:, None]
    # exp(-x^2/8) - exp(-y^2/8) = exp(-y^2/8) * expm1((y - x)(y + x) / 8), without cancellation.
    exponent = (y - x) * (y + x) / WIDTH
    difference = ops.exp(-ops.square(y) / WIDTH) * ops.expm1(exponent)
    return ops.sum(ops.square(difference), axis=(1, 2))
