"""Softmax regression representation: the student's features suit the teacher's classifier.

Loss: mean over channels of (pool(r(s)) - pool(t))^2 + logit_weight * mean over classes of
(z(r(s)) - z(t))^2. r is a trained 1x1 convolution with batch norm and ReLU, pool the mean over
places, z the teacher's own dense classifier on the pooled features, frozen.

Source: Yang et al. 2021, "Knowledge Distillation via Softmax Regression Representation Learning",
ICLR. Defaults: weights 1, as the authors'. Reads one tap of each model. The default, `pooled`,
exists in every model of the zoo; it is the form of SimKD's comparisons. `tap=stage3`, the last
feature maps, is the authors' form, with the ReLU before the pooling. Each example has its own
loss.
"""

from typing import Any, Unpack

from keras import ops

from kd_keras import check
from kd_keras.methods.base import Batch, ExampleLosses, Outputs, Shapes, Tensor
from kd_keras.methods.parts import connectors, tap_pairs, teacher_classifier
from kd_keras.methods.parts.one_tap import OneTap, OneTapKnobs
from kd_keras.methods.parts.teacher_classifier import pooled
from kd_keras.tensor_types import Logits, LossTerms


class SRRL(OneTap):
    """Regression onto the teacher's last features and, through its classifier, its logits.

    Args:
        tap, student_tap, teacher_tap: vector that each classifier reads, or the map before pooling.
        logit_weight: factor of the loss on the logits, >= 0.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "features"
    supports_multi_label = True
    departures = (
        "z(t) is computed here from t. This gives the teacher's logits also if the teacher "
        "ends in a softmax."
    )
    needs_teacher_model = True

    def __init__(self, *, logit_weight: float = 1.0, **common: Unpack[OneTapKnobs]):
        super().__init__(**common)
        self.logit_weight = check.number("logit_weight", logit_weight, at_least=0)

    def build(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        student = tap_pairs.as_map_shape(student_shape[self.student_taps[0]])
        teacher = tap_pairs.as_map_shape(teacher_shape[self.teacher_taps[0]])
        tap_pairs.require_map(self.name, "student", self.student_taps[0], student)
        tap_pairs.require_map(self.name, "teacher", self.teacher_taps[0], teacher)
        self.regressor = connectors.connector(student, teacher[-1], relu=True, name="regressor")
        self.classifier = teacher_classifier.frozen_classifier(
            teacher[-1], teacher_shape["logits"][-1]
        )

    def attach(self, student: Any, teacher: Any) -> None:
        if teacher is not None:
            teacher_classifier.fill(self.name, self.classifier, teacher, self.teacher_taps[0])

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        features = tap_pairs.as_map(student[self.student_taps[0]])
        projected = pooled(self.regressor(features, training=batch.training))
        target = pooled(teacher[self.teacher_taps[0]])
        return srrl(
            projected,
            target,
            self.classifier(projected),
            self.classifier(target),
            logit_weight=self.logit_weight,
        )["loss"]


def srrl(
    projected: Tensor,
    teacher_features: Tensor,
    cross_logits: Logits,
    teacher_logits: Logits,
    *,
    logit_weight: float = 1.0,
) -> LossTerms:
    """Named parts of the method.

    Args:
        projected: (B, D) float, the student's pooled features after the regressor.
        teacher_features: (B, D) float; no gradient flows back.
        cross_logits: (B, C) float, output of the teacher's classifier for `projected`.
        teacher_logits: (B, C) float; no gradient flows back.
        logit_weight: factor of the loss on the logits.

    Returns:
        `loss`, and its parts `loss_feature` and `loss_logit` (without the factor): (B,) float32.
    """
    feature = _mean_square(projected, teacher_features)
    logit = _mean_square(cross_logits, teacher_logits)
    return {
        "loss": feature + logit_weight * logit,
        "loss_feature": feature,
        "loss_logit": logit,
    }


def _mean_square(student: Tensor, teacher: Tensor) -> Tensor:
    teacher = ops.stop_gradient(ops.cast(teacher, "float32"))
    return ops.mean(ops.square(ops.cast(student, "float32") - teacher), axis=-1)
