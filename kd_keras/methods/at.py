"""Attention transfer: the student's feature maps are active at the places where the teacher's are.

Loss: sum over taps of the mean over places of (a(s) - a(t))^2. a(f) is mean_c f^p, scaled to a unit
vector over places.

Source: Zagoruyko, Komodakis 2017, "Paying More Attention to Attention", arXiv:1612.03928,
section 3.1. Defaults: weight 1000 (for a mean in place of the paper's sum) and the taps of later
comparisons of the method. Reads several feature maps of each model. Channels may differ; the larger
map is average-pooled to the smaller. No trained parts. Each example has its own loss.
"""

from collections.abc import Sequence
from typing import Unpack

from keras import ops

from kd_keras import check
from kd_keras.methods.base import Batch, ExampleLosses, Outputs, Shapes, Tensor
from kd_keras.methods.parts import maps, tap_pairs
from kd_keras.methods.parts.tap_pairs import TapPairs, TapPairsKnobs
from kd_keras.tensor_types import LossTerms


class AT(TapPairs):
    """Attention maps of the teacher.

    Args:
        exponent: power of the activations before the mean over channels, whole number >= 1.
        taps, student_taps, teacher_taps: see `TapPairs`.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "features"
    old_knobs = (("power", "exponent"),)
    supports_multi_label = True
    default_weight = 1000.0

    def __init__(self, *, exponent: int = 2, **common: Unpack[TapPairsKnobs]):
        super().__init__(**common)
        self.exponent = check.whole_number("exponent", exponent, at_least=1, at_most=16)

    def build(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        pairs = self.map_shapes(student_shape, teacher_shape)
        for tap, pair in zip(self.student_taps, pairs, strict=True):
            tap_pairs.require_positions(self.name, tap, *pair)

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        return at(*maps.tapped(self, student, teacher), exponent=self.exponent)["loss"]


def at(
    student_features: Sequence[Tensor], teacher_features: Sequence[Tensor], *, exponent: int = 2
) -> LossTerms:
    """Named parts of the method.

    Args:
        student_features: each (B, H, W, C) float, shallow to deep.
        teacher_features: as many; sizes and channels may differ; no gradient flows back.
        exponent: whole number >= 1; odd ones keep the activations' signs.

    Returns:
        `loss`: (B,) float32, the sum over taps. `per_tap`: (taps, B) float32.
    """
    per_tap = []
    for student, teacher in zip(student_features, teacher_features, strict=True):
        student, teacher = tap_pairs.same_size(student, ops.stop_gradient(teacher))
        student, teacher = (maps.attention(f, exponent=exponent) for f in (student, teacher))
        per_tap.append(ops.mean(ops.square(student - teacher), axis=-1))
    return {"loss": sum(per_tap), "per_tap": ops.stack(per_tap)}
