"""Reused classifier: the student learns the teacher's last feature map and gets its classifier.

Loss: mean over all entries of (p(s) - t)^2 on the last feature maps, the larger one
average-pooled to the smaller. p is a trained projector: 1x1, 3x3 and 1x1 convolutions, each with
batch norm and ReLU; the inner ones have 1 / `reduction_factor` of the teacher's channels. The
deployed model is the student up to its last feature map, p, the mean over places, and the teacher's
dense classifier, frozen.

Source: Chen et al. 2022, "Knowledge Distillation with the Reused Teacher Classifier",
arXiv:2203.14001, section 3. Defaults of the paper: no cross-entropy, weight 1, factor 2. Reads the
last feature map of each model. Each example has its own loss. The student's own classifier is not
trained.
"""

from typing import Any, Unpack

import keras
from keras import layers, ops

from kd_keras import check
from kd_keras.graph import taps
from kd_keras.methods.base import Batch, ExampleLosses, Outputs, Shapes, Tensor
from kd_keras.methods.parts import alignment, connectors, tap_pairs, teacher_classifier
from kd_keras.methods.parts.one_tap import OneTap, OneTapKnobs
from kd_keras.tensor_types import LossTerms


class SimKD(OneTap):
    """Features for the teacher's own classifier.

    Args:
        tap, student_tap, teacher_tap: the last feature map of each model.
        reduction_factor: the projector's inner maps have 1 / reduction_factor of the teacher's
            channels; whole, >= 1.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "features"
    old_knobs = (("factor", "reduction_factor"),)
    supports_multi_label = True
    default_tap = "stage3"
    default_ce_weight = 0.0

    needs_teacher_model = True

    def __init__(self, *, reduction_factor: int = 2, **common: Unpack[OneTapKnobs]):
        super().__init__(**common)
        self.reduction_factor = check.whole_number(
            "reduction_factor", reduction_factor, at_least=1, at_most=1024
        )

    def build(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        student = student_shape[self.student_taps[0]]
        teacher = teacher_shape[self.teacher_taps[0]]
        tap_pairs.require_map(self.name, "student", self.student_taps[0], student)
        tap_pairs.require_map(self.name, "teacher", self.teacher_taps[0], teacher)
        self.size = alignment.smaller(student[1:3], teacher[1:3])
        self.projector = projector(
            (None, *self.size, student[-1]), teacher[-1], self.reduction_factor
        )
        self.classifier = teacher_classifier.frozen_classifier(
            teacher[-1], teacher_shape["logits"][-1]
        )

    def attach(self, student: keras.Model, teacher: keras.Model | None) -> None:
        _require_last_map(self.name, student, self.student_taps[0])
        if teacher is not None:
            teacher_classifier.fill(self.name, self.classifier, teacher, self.teacher_taps[0])

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        features, target = tap_pairs.same_size(
            student[self.student_taps[0]], teacher[self.teacher_taps[0]]
        )
        return simkd(project(self.projector, features, training=batch.training), target)["loss"]

    def deployed(self, student: keras.Model) -> keras.Model:
        """The student's backbone, the projector and the teacher's classifier, all stock layers."""
        (tap,) = self.student_taps
        backbone = taps.tapped_model(student, [tap])
        x = backbone.output[tap]
        for layer in _pooling(x.shape[1:], self.size):
            x = layer(x)
        for block in self.projector:
            for layer in block.layers:
                x = layer(x)
        x = layers.GlobalAveragePooling2D(dtype="float32", name="pooled")(x)
        return keras.Model(backbone.input, self.classifier(x), name=student.name)


def projector(
    input_shape: tuple[Any, ...], channels: int, reduction_factor: int
) -> list[keras.Sequential]:
    """The three parts from a map of `input_shape` to one of `channels`.

    Args:
        input_shape: (None, H, W, c), shape of the student's map.
        channels: C of the teacher's map.
        reduction_factor: the middle part has C / `reduction_factor` channels, >= 1.
    """
    inner_channels = max(1, channels // reduction_factor)
    blocks = []
    for i, (width, kernel_size) in enumerate(
        ((inner_channels, 1), (inner_channels, 3), (channels, 1))
    ):
        blocks.append(
            connectors.connector(
                input_shape, width, kernel_size=kernel_size, relu=True, name=f"projector_{i}"
            )
        )
        input_shape = (*input_shape[:-1], width)
    return blocks


def project(blocks: list[keras.Sequential], features: Tensor, *, training: bool) -> Tensor:
    """(B, h, w, c) to the teacher's (B, h, w, C) by the parts of `projector`.

    Args:
        blocks: from `projector`.
        features: (B, h, w, c) float, the student's map.
        training: whether batch norms use the batch's statistics.
    """
    for block in blocks:
        features = block(features, training=training)
    return features


def simkd(projected: Tensor, teacher_features: Tensor) -> LossTerms:
    """Named parts of the method.

    Args:
        projected: (B, H, W, C) float, the student's features after the projector.
        teacher_features: (B, H, W, C) float; no gradient flows back.

    Returns:
        `loss`: (B,) float32, mean over each example's entries of the squared difference.
    """
    target = ops.stop_gradient(ops.cast(teacher_features, "float32"))
    difference = ops.cast(projected, "float32") - target
    return {"loss": ops.mean(ops.square(difference), axis=(1, 2, 3))}


def _pooling(shape: tuple[int, ...], size: tuple[int, int]) -> list[layers.Layer]:
    """Stock layers that average-pool a map of (H, W, C) to `size`, as the training does."""
    if tuple(shape[:2]) == tuple(size):
        return []
    if shape[0] % size[0] == shape[1] % size[1] == 0:
        window = (shape[0] // size[0], shape[1] // size[1])
        return [layers.AveragePooling2D(window, dtype="float32", name="smaller")]
    rows = _constant("bhwc,hp->bpwc", shape, 0, size[0], name="smaller_rows")
    columns = _constant("bhwc,wp->bhpc", (size[0], *shape[1:]), 1, size[1], name="smaller_columns")
    return [rows, columns]


def _constant(
    equation: str, shape: tuple[int, ...], axis: int, length: int, *, name: str
) -> layers.Layer:
    """Averages one axis of a map of (H, W, C) to `length` entries, by a fixed matrix."""
    output_shape = (*shape[:axis], length, *shape[axis + 1 :])
    layer = layers.EinsumDense(equation, output_shape, dtype="float32", trainable=False, name=name)
    layer.build((None, *shape))
    layer.kernel.assign(alignment.pooling_matrix(shape[axis], length).T)
    return layer


def _require_last_map(method: str, student: keras.Model, tap: str) -> None:
    """Raises ValueError if layers with weights work on feature maps after the student's tap."""
    if not taps.is_graph(student):
        raise ValueError(
            f"{method}: the student {student.name!r} is a {type(student).__name__}; expected a "
            "Functional or Sequential model, whose layers up to the tap can be deployed without "
            "the rest. Give another student, or choose another method, such as srrl."
        )
    tapped_student = taps.tapped_model(student, [tap])
    up_to_tap = keras.Model(tapped_student.input, tapped_student.output[tap])
    used_variables = {id(variable) for variable in up_to_tap.variables}
    later_layers = [
        layer.name
        for layer in tapped_student.layers
        if layer.variables
        and id(layer.variables[0]) not in used_variables
        and len(layer.output.shape) == 4
    ]
    if later_layers:
        raise ValueError(
            f"{method}: the student's tap {tap!r} is followed by {len(later_layers)} more layers "
            f"on feature maps, the last of them {later_layers[-1]!r}; expected its last feature "
            "map, since later layers are not deployed. Set student_tap to that map, such as "
            "'stage4'."
        )
