"""Cross-view consistency: each view learns from the teacher's answers to both, if it is confident.

Loss: within_weight * m_w * [kd(s_w, t_w) + kd(s_s, t_s)] + cross_weight * m_s * [kd(s_s, t_w)
+ kd(s_w, t_s)], with s, t of the weak (w) and the strong (s) view and kd = T^2 times the KL of the
softmaxes at T. m_w is 1 where the teacher's largest probability for the weak view is at least
weak_threshold, otherwise 0; m_s the same for the strong view and strong_threshold.

Source: Zhang et al. 2024, "Cross-View Consistency Regularisation for Knowledge Distillation",
arXiv:2412.16493, as in the copies of the authors' code in later comparisons, where each mask gates
both of its pairs. Defaults: T 4, weights 2 and 0.5, thresholds 0.9 and 0.2, weight 1, cross-entropy
1 on each view. For ImageNet they use T 1 and cross-entropy 2. Reads logits of two views of each
image; the first stands for the weak one. No trained parts. Each example has its own loss.
"""

from typing import Unpack

from keras import ops

from kd_keras import check, losses
from kd_keras.methods.base import Batch, CommonKnobs, ExampleLosses, Method, Outputs, Tensor
from kd_keras.methods.parts import two_views
from kd_keras.tensor_types import Logits, LossTerms


class CRLD(Method):
    """Soft targets within and across two views, where the teacher is confident.

    Args:
        temperature: softmax temperature of the soft targets, > 0, no unit.
        within_weight: factor, >= 0, of the pairs of the same view.
        cross_weight: factor, >= 0, of the pairs of different views.
        weak_threshold: smallest confidence on the weak view, 0 to 1, for pairs of the same view.
        strong_threshold: smallest confidence on the strong view, 0 to 1, for the other pairs.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "logits"
    departures = (
        "Both views have the augmentation of the pipeline (--augment), so neither is the weak one. "
        "The authors use RandAugment for the second alone; --augment strong has it in both."
    )
    views_per_image = 2

    def __init__(
        self,
        *,
        temperature: float = 4.0,
        within_weight: float = 2.0,
        cross_weight: float = 0.5,
        weak_threshold: float = 0.9,
        strong_threshold: float = 0.2,
        **common: Unpack[CommonKnobs],
    ):
        super().__init__(**common)
        self.temperature = check.number("temperature", temperature, above=0)
        self.within_weight = check.number("within_weight", within_weight, at_least=0)
        self.cross_weight = check.number("cross_weight", cross_weight, at_least=0)
        self.weak_threshold = check.number("weak_threshold", weak_threshold, at_least=0, at_most=1)
        self.strong_threshold = check.number(
            "strong_threshold", strong_threshold, at_least=0, at_most=1
        )

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        terms = crld(
            *two_views.logits(student, teacher),
            temperature=self.temperature,
            within_weight=self.within_weight,
            cross_weight=self.cross_weight,
            weak_threshold=self.weak_threshold,
            strong_threshold=self.strong_threshold,
        )
        return terms["loss"]


def crld(
    student_weak: Tensor,
    student_strong: Tensor,
    teacher_weak: Tensor,
    teacher_strong: Tensor,
    *,
    temperature: float,
    within_weight: float,
    cross_weight: float,
    weak_threshold: float,
    strong_threshold: float,
) -> LossTerms:
    """Named parts of the method.

    Args:
        student_weak, student_strong: (B, C) float, raw scores of the two views.
        teacher_weak, teacher_strong: (B, C) float, raw scores; no gradient flows back.
        temperature, within_weight, cross_weight, weak_threshold, strong_threshold: see `CRLD`.

    Returns:
        `loss_wv`, `loss_cv`: (B,) float32 in nats, times temperature squared and their weights.
        `loss`: (B,), their sum.
    """

    def kd(student: Tensor, teacher: Tensor) -> Tensor:
        return losses.softened_kl(student, teacher, temperature=temperature)

    within_loss = kd(student_weak, teacher_weak) + kd(student_strong, teacher_strong)
    cross_loss = kd(student_strong, teacher_weak) + kd(student_weak, teacher_strong)
    is_sure_weak = confident(teacher_weak, weak_threshold)
    is_sure_strong = confident(teacher_strong, strong_threshold)
    within_loss = within_weight * ops.where(is_sure_weak, within_loss, 0.0)
    cross_loss = cross_weight * ops.where(is_sure_strong, cross_loss, 0.0)
    return {"loss": within_loss + cross_loss, "loss_wv": within_loss, "loss_cv": cross_loss}


def confident(logits: Logits, threshold: float) -> Tensor:
    """(B,) bool: whether the largest probability, at temperature 1, is at least `threshold`.

    Args:
        logits: (B, C) float, raw scores.
        threshold: 0 to 1.
    """
    probabilities = ops.softmax(ops.cast(logits, "float32"), axis=-1)
    return ops.max(probabilities, axis=-1) >= threshold
