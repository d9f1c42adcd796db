"""Activation boundaries: the student's neurons fire where the teacher's do, before labels are used.

Loss: sum over n taps i of 2^(i - n + 1) * 3/1000 * sum over entries of (s + m)^2 where s > -m and
t <= 0, and of (s - m)^2 where s <= m and t > 0. s and t are features before their ReLU, m is the
margin.

Source: Heo et al. 2019, "Knowledge Transfer via Distillation of Activation Boundaries Formed by
Hidden Neurons", arXiv:1811.03233, section 3. Defaults: margin 1; the factors, and a first stage of
one ninth of the run, as in later comparisons of the method. After the first stage only the labels
are learned. Reads several feature maps of each model, before their ReLU. Where shapes differ, a
trained connector (convolution with bias, batch norm) maps the student's features to the teacher's
shape; a teacher's map that is still larger is average-pooled. Each example has its own loss.
"""

from collections.abc import Sequence
from typing import Any, Unpack

import keras
from keras import ops

from kd_keras import check
from kd_keras.methods.base import Batch, ExampleLosses, Outputs, Shapes, Tensor
from kd_keras.methods.parts import maps, projectors, two_stage
from kd_keras.tensor_types import LossTerms


@keras.saving.register_keras_serializable(package="kd_keras")
class Connector(projectors.Regressor):
    """A regressor without its ReLU: the sign of its output matters."""

    def call(self, features: Tensor, training: bool = True) -> Tensor:
        return self.norm(self.convolution(self.pad(features)), training=training)


class AB(two_stage.TwoStage):
    """Activation boundaries of the teacher.

    Args:
        margin: distance from 0 to which the student's pre-activations are pushed, > 0.
        taps, student_taps, teacher_taps: see `TapPairs`.
        first_stage, main_stage_weight: see `TwoStage`.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "features"
    supports_multi_label = True
    default_taps = ("stage1_preact", "stage2_preact", "stage3_preact")

    def __init__(self, *, margin: float = 1.0, **common: Unpack[two_stage.TwoStageKnobs]):
        super().__init__(**common)
        self.margin = check.number("margin", margin, above=0)

    def build(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        self.connectors = [
            connector(student, teacher)
            for student, teacher in self.map_shapes(student_shape, teacher_shape)
        ]

    def loss(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        student_features, teacher_features = maps.tapped(self, student, teacher)
        student_features = [
            features if connector is None else connector(features, training=batch.training)
            for connector, features in zip(self.connectors, student_features, strict=True)
        ]
        return ab(student_features, teacher_features, margin=self.margin)["loss"]


def connector(student: tuple[Any, ...], teacher: tuple[Any, ...]) -> Connector | None:
    """A built layer from the student's shape to the teacher's; None if they are equal.

    Args:
        student, teacher: shapes (None, H, W, C) of a student's and a teacher's map.
    """
    if tuple(student[1:]) == tuple(teacher[1:]):
        return None
    layer = Connector(tuple(teacher))
    layer.build(tuple(student))
    return layer


def ab(
    student_features: Sequence[Tensor], teacher_features: Sequence[Tensor], *, margin: float = 1.0
) -> LossTerms:
    """Named parts of the method.

    Args:
        student_features: each (B, H, W, C) float before its ReLU, shallow to deep, connected.
        teacher_features: as many, before their ReLU; a larger map is average-pooled; no gradient
            flows back.
        margin: > 0.

    Returns:
        `loss`: (B,) float32, the sum over taps; `per_tap`: (taps, B) float32, layer weights inside.
        Not zero at equality, since the student's pre-activations are pushed beyond the margin.
    """
    per_tap = []
    for i, (student, teacher) in enumerate(zip(student_features, teacher_features, strict=True)):
        student = ops.cast(student, "float32")
        teacher = ops.stop_gradient(projectors.matched(student, ops.cast(teacher, "float32")))
        fires = teacher > 0
        too_high = ops.logical_and(student > -margin, ops.logical_not(fires))
        too_low = ops.logical_and(student <= margin, fires)
        violation = ops.where(too_high, student + margin, ops.where(too_low, student - margin, 0.0))
        factor = 2.0 ** (i - len(student_features) + 1) * 3 / 1000
        per_tap.append(factor * ops.sum(ops.square(violation), axis=(1, 2, 3)))
    return {"loss": sum(per_tap), "per_tap": ops.stack(per_tap)}
