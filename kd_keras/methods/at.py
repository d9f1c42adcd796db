"""Attention transfer: the student looks where the teacher looks.

Cost: sum over taps of the mean over places of (a(s) - a(t))^2, with a(f) the unit vector over
places of mean_c f^p.

Source: Zagoruyko, Komodakis 2017, "Paying More Attention to Attention", arXiv:1612.03928,
section 3.1; weight 1000 (with the mean in place of the sum) and taps as the method's later
comparisons use them. Reads feature maps of both models; channels may differ, the larger map is
average-pooled to the smaller. No trainable parts; works per example.
"""

from collections.abc import Sequence
from typing import Any, Unpack

from keras import ops

from kd_keras import check
from kd_keras.methods.base import Batch, Outputs, Shapes, Tensor
from kd_keras.methods.parts import maps, tap_pairs
from kd_keras.methods.parts.tap_pairs import TapPairs, TapPairsCommon


class AT(TapPairs):
    """Attention maps of the teacher.

    Args:
        power: whole number >= 1, exponent of the activations before the mean over channels.
        taps, student_taps, teacher_taps: see `TapPairs`.
        weight, ce_weight, warmup, name: see `Method`.
    """

    default_weight = 1000.0

    def __init__(self, *, power: int = 2, **common: Unpack[TapPairsCommon]):
        super().__init__(**common)
        self.power = check.whole_number("at: power", power, at_least=1)

    def build(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        pairs = self.map_shapes(student_shape, teacher_shape)
        for tap, pair in zip(self.student_taps, pairs, strict=True):
            tap_pairs.require_places(self.name, tap, *pair)

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return at(*maps.tapped(self, student, teacher), power=self.power)["loss"]


def at(
    student_features: Sequence[Tensor], teacher_features: Sequence[Tensor], *, power: int = 2
) -> dict[str, Any]:
    """Named parts of the method.

    Args:
        student_features: each (B, H, W, C) float, shallow to deep.
        teacher_features: as many; sizes and channels may differ; no gradient flows back.
        power: whole number >= 1; odd ones keep the activations' signs.

    Returns:
        `loss`: (B,) float32, the sum over taps. `per_tap`: (taps, B) float32.
    """
    per_tap = []
    for student, teacher in zip(student_features, teacher_features, strict=True):
        student, teacher = tap_pairs.same_size(student, ops.stop_gradient(teacher))
        student, teacher = (maps.attention(f, power=power) for f in (student, teacher))
        per_tap.append(ops.mean(ops.square(student - teacher), axis=-1))
    return {"loss": sum(per_tap), "per_tap": ops.stack(per_tap)}
