"""Neuron selectivity transfer: channels are active at the places where the teacher's are.

Loss: sum over taps of k(t, t) + k(s, s) - 2 k(s, t), the maximum mean discrepancy of the two sets
of channels. k is the mean over pairs of channels of (a . b)^2, each channel a unit vector over
places.

Source: Huang, Wang 2017, "Like What You Like: Knowledge Distill via Neuron Selectivity Transfer",
arXiv:1707.01219, section 4, with the polynomial kernel of degree 2. Defaults: weight 50 and the
taps of later comparisons of the method. Reads several feature maps of each model. Channels may
differ; the larger map is average-pooled to the smaller. No trained parts. Each example has its own
loss.
"""

from collections.abc import Sequence

from keras import ops

from kd_keras.methods.base import Batch, ExampleLosses, Outputs, Shapes, Tensor
from kd_keras.methods.parts import maps, tap_pairs, vectors
from kd_keras.methods.parts.tap_pairs import TapPairs
from kd_keras.tensor_types import LossTerms


class NST(TapPairs):
    """Places at which the teacher's channels fire.

    Args:
        taps, student_taps, teacher_taps: see `TapPairs`.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "features"
    supports_multi_label = True
    default_weight = 50.0

    def build(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        pairs = self.map_shapes(student_shape, teacher_shape)
        for tap, pair in zip(self.student_taps, pairs, strict=True):
            tap_pairs.require_positions(self.name, tap, *pair)

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        return nst(*maps.tapped(self, student, teacher))["loss"]


def nst(student_features: Sequence[Tensor], teacher_features: Sequence[Tensor]) -> LossTerms:
    """Named parts of the method.

    Args:
        student_features: each (B, H, W, C) float, shallow to deep.
        teacher_features: as many; sizes and channels may differ; no gradient flows back.

    Returns:
        `loss`: (B,) float32, the sum over taps. `per_tap`: (taps, B) float32.
    """
    per_tap = []
    for student, teacher in zip(student_features, teacher_features, strict=True):
        student, teacher = tap_pairs.same_size(student, ops.stop_gradient(teacher))
        student, teacher = (vectors.unit(maps.by_position(f), axis=1) for f in (student, teacher))
        per_tap.append(
            _kernel(teacher, teacher) + _kernel(student, student) - 2 * _kernel(student, teacher)
        )
    return {"loss": sum(per_tap), "per_tap": ops.stack(per_tap)}


def _kernel(first: Tensor, second: Tensor) -> Tensor:
    """(B, P, C) and (B, P, D) to the mean over the C*D pairs of channels of (a . b)^2, (B,)."""
    products = ops.einsum("bpc,bpd->bcd", first, second)
    return ops.mean(ops.square(products), axis=(1, 2))
