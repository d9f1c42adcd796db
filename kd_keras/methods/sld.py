"""Swapped logits: where a network is wrong, its largest logit and the label's change places.

Loss: sum over both views and T of kd(s, swap(t)); from `student_swap_start` of the run on, also of
kd(s, swap(s)), in which the swapped student is differentiated too. kd is T^2 times the KL of the
softmaxes at T, swap(z) exchanges the label's logit with the largest one.

Source: Limantoro et al. 2025, "Swapped Logit Distillation via Bi-level Teacher Alignment",
arXiv:2504.20108, as in the authors' code, which weighs each term as kd. Defaults: T 1, 2, 3, 4, 5,
6, the student's own swap from epoch 150 of 240 on, weight 0.9, cross-entropy 0.1 on each view. For
ImageNet the authors use weights 0.5, 0.5 and train 100 epochs, so their student's own swap never
begins: student_swap_start=1. Reads logits of two views of each image, and labels; of labels that
are probabilities, the largest counts. No trained parts. Each example has its own loss.
"""

from typing import Unpack

from keras import ops

from kd_keras import check, losses
from kd_keras.methods.base import Batch, CommonKnobs, ExampleLosses, Labels, Method, Outputs, Tensor
from kd_keras.methods.parts import nontarget, two_views
from kd_keras.tensor_types import Logits, LossTerms


class SLD(Method):
    """Soft targets of a teacher, and later of the student, corrected by swapping two values.

    Args:
        temperatures: softmax temperatures, > 0, no unit; the losses at each are added.
        student_swap_start: share of the run, 0 to 1, after which the student's own swap counts.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "logits"
    departures = (
        "Both views have the augmentation of the pipeline (--augment), so neither is the weak one. "
        "The authors use RandAugment for the second alone; --augment strong has it in both."
    )
    default_weight = 0.9
    default_ce_weight = 0.1

    needs_labels = True
    needs_one_class = True
    views_per_image = 2

    def __init__(
        self,
        *,
        temperatures: tuple[float, ...] = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0),
        student_swap_start: float = 0.625,
        **common: Unpack[CommonKnobs],
    ):
        super().__init__(**common)
        self.temperatures = two_views.temperatures(
            "temperatures", temperatures, expected="one or more", example="(1, 2, 3, 4, 5, 6)"
        )
        self.student_swap_start = check.number(
            "student_swap_start", student_swap_start, at_least=0, at_most=1
        )

    @property
    def needs_progress(self) -> bool:
        return super().needs_progress or 0 < self.student_swap_start < 1

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        terms = sld(
            *two_views.logits(student, teacher),
            batch.labels,
            temperatures=self.temperatures,
        )
        if self.student_swap_start in (0, 1):  # a constant, so that no run needs a length
            return terms["loss_teacher"] + (1 - self.student_swap_start) * terms["loss_student"]
        has_started = ops.cast(batch.progress >= self.student_swap_start, "float32")
        return terms["loss_teacher"] + has_started * terms["loss_student"]


def sld(
    student_weak: Tensor,
    student_strong: Tensor,
    teacher_weak: Tensor,
    teacher_strong: Tensor,
    labels: Labels,
    *,
    temperatures: tuple[float, ...],
) -> LossTerms:
    """Named parts of the method.

    Args:
        student_weak, student_strong: (B, C) float, raw scores of the two views.
        teacher_weak, teacher_strong: (B, C) float, raw scores; no gradient flows back.
        labels: (B,) int classes or (B, C) probabilities, whose largest counts.
        temperatures: see `SLD`.

    Returns:
        `loss_teacher`, `loss_student`: (B,) float32 in nats, each term times its temperature
        squared, over both views. They are 0 where teacher and student are equal and right.
    """
    teacher_loss, student_loss = 0.0, 0.0
    for student, teacher in ((student_weak, teacher_weak), (student_strong, teacher_strong)):
        student = ops.cast(student, "float32")
        swapped_teacher = swap(ops.cast(teacher, "float32"), labels)
        for t in temperatures:
            teacher_loss += losses.softened_kl(student, swapped_teacher, temperature=t)
            student_loss += own_swap(student, labels, temperature=t)
    return {"loss_teacher": teacher_loss, "loss_student": student_loss}


def swap(logits: Logits, labels: Labels) -> Tensor:
    """(B, C): the logits, in which the label's and the largest one have changed places.

    Args:
        logits: (B, C) float, raw scores.
        labels: (B,) int classes or (B, C) probabilities, whose largest counts.
    """
    target, top, target_score, top_score = _target_and_top(logits, labels)
    return ops.where(target, top_score, ops.where(top, target_score, logits))


def own_swap(logits: Logits, labels: Labels, *, temperature: float) -> ExampleLosses:
    """(B,) float32: T^2 KL(softmax of swap(z) / T || softmax of z / T), differentiated in both.

    All but two terms of the sum are 0; what remains is T (p_top - p_y) (z_top - z_y).

    Args:
        logits: (B, C) float, raw scores z.
        labels: (B,) int classes or (B, C) probabilities, whose largest counts.
        temperature: T > 0.
    """
    target, top, target_score, top_score = _target_and_top(logits, labels)
    p = ops.softmax(logits / temperature, axis=-1)
    probability_gap = ops.sum(ops.where(top, p, 0.0) - ops.where(target, p, 0.0), axis=-1)
    return temperature * probability_gap * (top_score - target_score)[:, 0]


def _target_and_top(logits: Logits, labels: Labels) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Masks (B, C) of the label's and the largest logit, and the two logits (B, 1)."""
    classes = logits.shape[-1]
    target = nontarget.target_mask(labels, classes)
    top = nontarget.target_mask(ops.argmax(logits, axis=-1), classes)
    pair = [ops.sum(ops.where(m, logits, 0.0), axis=-1, keepdims=True) for m in (target, top)]
    return target, top, *pair
