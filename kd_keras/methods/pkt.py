"""Probabilistic transfer: examples of a batch are as similar to each other as for the teacher.

Loss: mean over all pairs (i, j) of t_ij * log(t_ij / s_ij). s_i and t_i are the shifted cosines
(cos + 1) / 2 of example i with every example of the batch, divided by their sum.

Source: Passalis, Tefas 2018, "Learning Deep Representations with Probabilistic Knowledge
Transfer", arXiv:1803.10837, section 3. Defaults: weight 30000, as in later comparisons of the
method (the mean over pairs is small). Reads one feature of each model, `pooled` by default; sizes
may differ. No trained parts. The loss belongs to the whole batch.
"""

from keras import ops

from kd_keras.methods.base import Batch, ExampleLosses, Outputs, Shapes, Tensor
from kd_keras.methods.parts import tap_pairs, vectors
from kd_keras.methods.parts.one_tap import OneTap
from kd_keras.tensor_types import LossTerms

EPSILON = 1e-7  # added to norms and to probabilities, as in the authors' code


class PKT(OneTap):
    """Distribution of similarities among the batch's examples.

    Args:
        tap, student_tap, teacher_tap: see `OneTap`.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "relations"
    supports_multi_label = True
    default_weight = 30000.0

    needs_whole_batch = True

    def build(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        tap_pairs.require_known_all(self, student_shape, teacher_shape)

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        features = student[self.student_taps[0]]
        loss = pkt(features, teacher[self.teacher_taps[0]])["loss"]
        return ops.broadcast_to(loss, ops.shape(features)[:1])


def pkt(
    student_features: Tensor, teacher_features: Tensor, *, epsilon: float = EPSILON
) -> LossTerms:
    """Named parts of the method.

    Args:
        student_features: (B, ...) float.
        teacher_features: (B, ...) float; no gradient flows back.
        epsilon: added to norms and probabilities.

    Returns:
        `loss`: scalar float32, in nats over B^2, an example's pair with itself included.
    """
    student = _neighbours(student_features, epsilon)
    teacher = _neighbours(ops.stop_gradient(teacher_features), epsilon)
    # log(t / s) as log1p((t - s) / s), less t - s, which sums to 0 in every row: rounding errors
    # then scale with the difference of the probabilities, not with the probabilities.
    difference = teacher - student
    divergence = teacher * ops.log1p(difference / (student + epsilon)) - difference
    return {"loss": ops.mean(divergence)}


def _neighbours(features: Tensor, epsilon: float) -> Tensor:
    """(B, ...) features to (B, B) probabilities, each row summing to 1."""
    features = vectors.flat(features)
    length = vectors.norm(features)
    # A zero vector has no direction: no gradient flows, where the formula's slope is 1 / epsilon.
    features = ops.where(length > 0, features, ops.stop_gradient(features)) / (length + epsilon)
    similarities = (ops.matmul(features, ops.transpose(features)) + 1) / 2
    return similarities / ops.sum(similarities, axis=-1, keepdims=True)
