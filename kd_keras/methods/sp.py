"""Similarity preserving: examples that are similar for the teacher are similar for the student.

Loss: sum over taps of ||n(F_s F_s') - n(F_t F_t')||^2 / B^2. F are the (B, D) features, flattened.
n scales each row of the B x B similarities to unit L2 norm.

Source: Tung, Mori 2019, "Similarity-Preserving Knowledge Distillation", arXiv:1907.09682,
section 3. Defaults of the paper: weight 3000 and the last stage. Reads features of any shape of
both models; sizes and channels may differ. No trained parts. The loss belongs to the whole
batch.
"""

from collections.abc import Sequence

from keras import ops

from kd_keras.methods.base import Batch, ExampleLosses, Outputs, Shapes, Tensor
from kd_keras.methods.parts import maps, tap_pairs, vectors
from kd_keras.methods.parts.tap_pairs import TapPairs
from kd_keras.tensor_types import LossTerms


class SP(TapPairs):
    """Similarities between the batch's examples.

    Args:
        taps, student_taps, teacher_taps: see `TapPairs`.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "relations"
    supports_multi_label = True
    default_taps = ("stage3",)
    default_weight = 3000.0

    needs_whole_batch = True

    def build(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        tap_pairs.require_known_all(self, student_shape, teacher_shape)

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        student_features, teacher_features = maps.tapped(self, student, teacher)
        loss = sp(student_features, teacher_features)["loss"]
        return ops.broadcast_to(loss, ops.shape(student_features[0])[:1])


def sp(student_features: Sequence[Tensor], teacher_features: Sequence[Tensor]) -> LossTerms:
    """Named parts of the method.

    Args:
        student_features: each (B, ...) float.
        teacher_features: as many, each (B, ...) float; no gradient flows back.

    Returns:
        `loss`: scalar float32, the sum over taps.
    """
    losses = []
    for student, teacher in zip(student_features, teacher_features, strict=True):
        difference = _similarities(student) - _similarities(ops.stop_gradient(teacher))
        losses.append(ops.mean(ops.square(difference)))
    return {"loss": sum(losses)}


def _similarities(features: Tensor) -> Tensor:
    """(B, ...) features to (B, B) inner products, each row made unit."""
    features = vectors.flat(features)
    return vectors.unit(ops.matmul(features, ops.transpose(features)))
