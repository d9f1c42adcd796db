"""Scale-decoupled logits: soft targets for parts of the image, at several scales.

Loss: mean over cells of w * loss of kd, dkd or nkd on the cell's logits. The last feature map is
average-pooled to 4x4 cells; coarser cells are means of those. A cell's logits are the classifier of
each model on its features. w = complementary_weight where the teacher is right in the cell and
wrong in the whole image, or the reverse; otherwise 1.

Source: Wei, Luo, Luo 2024, "Scaled Decoupled Distillation", arXiv:2403.13512, section 3, and the
authors' code. Defaults: with kd, scales 1, 2, 4, T 4, weight of complementary cells 2, weight 0.9,
cross-entropy 0.1. Over dkd the authors use weights 1 and 8, T 4, weight 1, cross-entropy 1 and a
warm-up of 1/12; with nkd T 4 and nontarget_weight 8. For ImageNet both have T 1 and
nontarget_weight 0.5. They clip the gradient's norm at 40. Reads the last feature map and the
classifier of each model, and labels; of labels that are probabilities, the largest counts. Each
example has its own loss. The student's classifier is trained by the cells too.
"""

import numbers
from typing import Any, Unpack

import keras
from keras import ops

from kd_keras import check, losses
from kd_keras.graph.untracked import Untracked
from kd_keras.methods.base import Batch, ExampleLosses, Labels, Outputs, Shapes, Tensor
from kd_keras.methods.parts import alignment, tap_pairs, teacher_classifier
from kd_keras.methods.parts.decoupled import dkd
from kd_keras.methods.parts.normalised import nkd
from kd_keras.methods.parts.one_tap import OneTap, OneTapKnobs
from kd_keras.tensor_types import LossTerms

FINEST = 4  # cells in each direction at the finest scale; each coarser scale is made of these
BASE_METHODS = ("kd", "dkd", "nkd")


class SDD(OneTap):
    """Soft targets for the cells of the last feature map.

    Args:
        tap, student_tap, teacher_tap: the last feature map of each model.
        base_method: "kd", "dkd" or "nkd", the loss that is computed from each cell's logits.
        scales: numbers of cells in each direction, out of 1, 2 and 4; 1 is the whole image.
        complementary_weight: factor, >= 0, of cells in which the teacher's answer is right and that
            for the whole image wrong, or the reverse.
        temperature: softmax temperature, > 0, no unit.
        target_weight: factor of dkd's target part, >= 0; unused with kd and nkd.
        nontarget_weight: factor of dkd's or nkd's other part, >= 0; unused with kd.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "logits"
    departures = (
        "Over nkd, the label's class is left out of the non-target part, as in the paper. The "
        "authors' code keeps it. An infinite loss stays infinite; their code then takes 0."
    )
    default_tap = "stage3"
    default_weight = 0.9
    default_ce_weight = 0.1

    old_knobs = (("over", "base_method"),)
    needs_labels = True
    needs_one_class = True
    needs_teacher_model = True

    def __init__(
        self,
        *,
        base_method: str = "kd",
        scales: tuple[int, ...] = (1, 2, 4),
        complementary_weight: float = 2.0,
        temperature: float = 4.0,
        target_weight: float = 1.0,
        nontarget_weight: float = 8.0,
        **common: Unpack[OneTapKnobs],
    ):
        super().__init__(**common)
        self.base_method = check.one_of("base_method", base_method, BASE_METHODS)
        if base_method != "kd":
            self.min_classes = 3
        is_valid = isinstance(scales, (tuple, list)) and bool(scales)
        if not is_valid or not all(_is_scale(scale) for scale in scales):
            raise ValueError(
                f"scales is {scales!r}; expected one or more of 1, 2 and 4, such as (1, 2, 4). "
                "Leave it out to use these."
            )
        self.scales = tuple(scales)
        self.complementary_weight = check.number(
            "complementary_weight", complementary_weight, at_least=0
        )
        self.temperature = check.number("temperature", temperature, above=0)
        self.target_weight = check.number("target_weight", target_weight, at_least=0)
        self.nontarget_weight = check.number("nontarget_weight", nontarget_weight, at_least=0)

    def build(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        student = student_shape[self.student_taps[0]]
        teacher = teacher_shape[self.teacher_taps[0]]
        tap_pairs.require_map(self.name, "student", self.student_taps[0], student)
        tap_pairs.require_map(self.name, "teacher", self.teacher_taps[0], teacher)
        self.classifier = teacher_classifier.frozen_classifier(
            teacher[-1], teacher_shape["logits"][-1]
        )

    def attach(self, student: keras.Model, teacher: keras.Model | None) -> None:
        (tap,) = self.student_taps
        student_classifier = teacher_classifier.last_dense(self.name, student, side="student")
        teacher_classifier.require_reads(self.name, student, tap, side="student")
        # Hidden from Keras: its weights belong to the student.
        self._student = Untracked(classifier=student_classifier)
        if teacher is not None:
            teacher_classifier.fill(self.name, self.classifier, teacher, self.teacher_taps[0])

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        student_classifier = self._student.classifier
        bias = ops.cast(student_classifier.bias, "float32") if student_classifier.use_bias else 0.0
        cells = cell_features(student[self.student_taps[0]], self.scales)
        terms = sdd(
            ops.matmul(cells, ops.cast(student_classifier.kernel, "float32")) + bias,
            self.classifier(cell_features(teacher[self.teacher_taps[0]], self.scales)),
            self.classifier(cell_features(teacher[self.teacher_taps[0]], (1,))),
            batch.labels,
            base_method=self.base_method,
            complementary_weight=self.complementary_weight,
            temperature=self.temperature,
            target_weight=self.target_weight,
            nontarget_weight=self.nontarget_weight,
        )
        return terms["loss"]


def cell_features(features: Tensor, scales: tuple[int, ...]) -> Tensor:
    """(B, H, W, D) to (B, cells, D) float32: means over cells, by scale, then row by row.

    Args:
        features: (B, H, W, D) float, of known height and width.
        scales: number of cells along each axis, one for each scale.
    """
    finest_cells = alignment.adaptive_average_pool(ops.cast(features, "float32"), (FINEST, FINEST))
    by_scale = [alignment.adaptive_average_pool(finest_cells, (scale, scale)) for scale in scales]
    depth = features.shape[-1]
    flat_cells = [ops.reshape(x, (-1, s * s, depth)) for x, s in zip(by_scale, scales, strict=True)]
    return ops.concatenate(flat_cells, axis=1)


def sdd(
    student_cells: Tensor,
    teacher_cells: Tensor,
    teacher_whole: Tensor,
    labels: Labels,
    *,
    base_method: str,
    complementary_weight: float,
    temperature: float,
    target_weight: float,
    nontarget_weight: float,
) -> LossTerms:
    """Named parts of the method.

    Args:
        student_cells: (B, cells, C) float, raw scores of each cell.
        teacher_cells: (B, cells, C) float, raw scores of each cell; no gradient flows back.
        teacher_whole: (B, 1, C) float, raw scores of the whole image.
        labels: (B,) int classes or (B, C) probabilities, whose largest counts.
        base_method, complementary_weight, temperature, target_weight, nontarget_weight: see `SDD`.

    Returns:
        `loss`: (B,) float32 in nats, times temperature squared.
    """
    cells, classes = student_cells.shape[1:]
    label = losses.class_index(labels)
    student, teacher = (ops.reshape(x, (-1, classes)) for x in (student_cells, teacher_cells))
    cell_labels = ops.repeat(label, cells)
    if base_method == "kd":
        example_losses = losses.softened_kl(student, teacher, temperature=temperature)
    elif base_method == "dkd":
        example_losses = dkd(
            student,
            teacher,
            cell_labels,
            temperature=temperature,
            target_weight=target_weight,
            nontarget_weight=nontarget_weight,
        )["loss"]
    else:
        example_losses = nkd(
            student,
            teacher,
            cell_labels,
            temperature=temperature,
            nontarget_weight=nontarget_weight,
        )["loss"]
    weights_of_cells = cell_weights(teacher_cells, teacher_whole, label, complementary_weight)
    return {"loss": ops.mean(weights_of_cells * ops.reshape(example_losses, (-1, cells)), axis=-1)}


def _is_scale(scale: Any) -> bool:
    is_whole = isinstance(scale, numbers.Integral) and not isinstance(scale, bool)
    return is_whole and scale in (1, 2, FINEST)


def cell_weights(
    teacher_cells: Tensor, teacher_whole: Tensor, label: Tensor, complementary_weight: float
) -> Tensor:
    """(B, cells) float32: the complementary weight where only one of cell and image is right.

    Args:
        teacher_cells: (B, cells, C) float, raw scores of each cell.
        teacher_whole: (B, 1, C) float, raw scores of the whole image.
        label: (B,) int.
        complementary_weight: weight of such cells, >= 0; the others have 1.
    """
    is_right = [
        ops.equal(ops.cast(ops.argmax(logits, axis=-1), "int32"), label[:, None])
        for logits in (teacher_cells, teacher_whole)
    ]
    return ops.where(ops.logical_xor(*is_right), complementary_weight, 1.0)
