"""Hints: a projection of the student's intermediate features matches the teacher's.

Loss: mean over all entries of (r(s) - t)^2. r is a trained regressor (convolution with bias, batch
norm, ReLU) that maps the student's shape to the teacher's, spatial size included.

Source: Romero et al. 2015, "FitNets: Hints for Thin Deep Nets", arXiv:1412.6550, section 2.2.
Defaults: the regressor and weight 100 of later comparisons of the method. Reads one tap of each
model. Each example has its own loss.
"""

from keras import ops

from kd_keras.methods.base import Batch, ExampleLosses, Outputs, Shapes, Tensor
from kd_keras.methods.parts import projectors, tap_pairs
from kd_keras.methods.parts.one_tap import OneTap
from kd_keras.tensor_types import LossTerms


class FitNet(OneTap):
    """Hints of the teacher's intermediate features.

    Args:
        tap, student_tap, teacher_tap: see `OneTap`.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "features"
    supports_multi_label = True
    departures = (
        "Hints and labels are learned together. The paper learns the hints in a stage before."
    )
    default_tap = "stage2"
    default_weight = 100.0

    def build(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        student = student_shape[self.student_taps[0]]
        teacher = teacher_shape[self.teacher_taps[0]]
        if len(student) != len(teacher) or len(student) not in (2, 4):
            raise ValueError(
                f"{self.name}: the student's tap {self.student_taps[0]!r} has shape {student}, the "
                f"teacher's {self.teacher_taps[0]!r} has {teacher}; expected two feature maps "
                "(B, H, W, C) or two vectors (B, D). Choose other taps with student_tap= and "
                "teacher_tap=."
            )
        tap_pairs.require_known_all(self, student_shape, teacher_shape)
        self.regressor = projectors.Regressor(teacher, name="regressor")
        self.regressor.build(student)

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        projected = self.regressor(student[self.student_taps[0]], training=batch.training)
        return fitnet(projected, teacher[self.teacher_taps[0]])["loss"]


def fitnet(projected: Tensor, teacher_features: Tensor) -> LossTerms:
    """Named parts of the method.

    Args:
        projected: (B, ...) float, the student's features after the regressor.
        teacher_features: (B, ...) float; a larger map is average-pooled to the projected one's
            size; no gradient flows back.

    Returns:
        `loss`: (B,) float32, mean over each example's entries of the squared difference.
    """
    teacher_features = ops.stop_gradient(projectors.matched(projected, teacher_features))
    difference = ops.cast(projected, "float32") - ops.cast(teacher_features, "float32")
    return {"loss": ops.mean(ops.square(difference), axis=tuple(range(1, len(projected.shape))))}
