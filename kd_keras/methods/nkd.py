"""Normalised non-targets: matches the target's probability, and the others after rescaling.

Cost: -p_t(y) log p_s(y) - nontarget_weight * T^2 * sum over c != y of q_t(c) log q_s(c). p is the
softmax at temperature 1, q the softmax over the C - 1 other classes at T.

Source: Yang et al. 2023, "From Knowledge Distillation to Self-Knowledge Distillation: A Unified
Approach with Normalized Loss and Customized Soft Labels", arXiv:2303.13005, where the weight is
called gamma. Defaults: T 1, gamma 1.5, cross-entropy 1. Reads logits and labels; of labels that are
probabilities, the largest is the target. No trained parts. Each example has its own cost. Needs
three classes or more: with two there is one other class, which teaches nothing. Both parts are
cross-entropies, so the cost is not zero at equality.
"""

from typing import Any, Unpack

from keras import ops

from kd_keras import check
from kd_keras.methods.base import Batch, CommonOptions, Costs, Labels, Method, Outputs, Tensor
from kd_keras.methods.parts import nontarget


class NKD(Method):
    """Soft target, and normalised soft non-targets.

    Args:
        temperature: softmax temperature of the non-target classes, > 0, no unit.
        nontarget_weight: factor of the non-target classes' part, >= 0.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "logits"
    needs_labels = True
    min_classes = 3

    def __init__(
        self,
        *,
        temperature: float = 1.0,
        nontarget_weight: float = 1.5,
        **common: Unpack[CommonOptions],
    ):
        super().__init__(**common)
        self.temperature = check.number("temperature", temperature, above=0)
        self.nontarget_weight = check.number("nontarget_weight", nontarget_weight, at_least=0)

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> Costs:
        parts = nkd(
            student["logits"],
            teacher["logits"],
            batch.labels,
            temperature=self.temperature,
            nontarget_weight=self.nontarget_weight,
        )
        return parts["loss"]


def nkd(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Labels,
    *,
    temperature: float,
    nontarget_weight: float,
) -> dict[str, Any]:
    """Named parts of the method.

    Args:
        student_logits: (B, C) float, raw scores.
        teacher_logits: (B, C) float, raw scores; no gradient flows back.
        labels: (B,) int classes or (B, C) probabilities, whose largest is the target.
        temperature, nontarget_weight: see `NKD`.

    Returns:
        `loss`: (B,) float32 in nats.
    """
    student = ops.cast(student_logits, "float32")
    teacher = ops.stop_gradient(ops.cast(teacher_logits, "float32"))
    mask = nontarget.target_mask(labels, student.shape[-1])
    trust = ops.sigmoid(nontarget.log_odds(teacher, mask))
    target = -trust * ops.log_sigmoid(nontarget.log_odds(student, mask))

    log_q = nontarget.log_softmax_of_others(student / temperature, mask)
    log_p = nontarget.log_softmax_of_others(teacher / temperature, mask)
    p = ops.where(mask, 0.0, ops.exp(log_p))
    others = -(temperature**2) * ops.sum(p * log_q, axis=-1)
    return {"loss": target + nontarget_weight * others}
