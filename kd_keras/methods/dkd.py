"""Decoupled soft targets: the target class and the other classes weighed apart.

Cost: T^2 * [target_weight * KL of (p_y, 1 - p_y) + nontarget_weight * KL of the softmax over the
C - 1 other classes], teacher || student, both at temperature T.

Source: Zhao et al. 2022, "Decoupled Knowledge Distillation", arXiv:2203.08679, equation 7, where
the two weights are alpha and beta. Defaults: T 4, weights 1 and 8, cross-entropy 1, warm-up over
20 of 240 epochs. Reads logits and labels (of label probabilities, the largest); no trainable
parts; works per example; needs three classes or more.
"""

from typing import Any

from keras import ops

from kd_keras import check
from kd_keras.methods.base import Batch, Method, Outputs, Shapes, Tensor
from kd_keras.methods.parts import nontarget


class DKD(Method):
    """Soft targets with the target class and the others decoupled.

    Args:
        temperature: > 0, no unit.
        target_weight: factor, >= 0, of the KL between target and rest.
        nontarget_weight: factor, >= 0, of the KL among the other classes.
        weight, ce_weight, warmup, name: see `Method`.
    """

    min_classes = 3

    def __init__(
        self,
        *,
        temperature: float = 4.0,
        target_weight: float = 1.0,
        nontarget_weight: float = 8.0,
        weight: float = 1.0,
        ce_weight: float = 1.0,
        warmup: float = 1 / 12,
        name: str | None = None,
    ):
        super().__init__(weight=weight, ce_weight=ce_weight, warmup=warmup, name=name)
        self.temperature = check.number("temperature", temperature, above=0)
        self.target_weight = check.number("target_weight", target_weight, at_least=0)
        self.nontarget_weight = check.number("nontarget_weight", nontarget_weight, at_least=0)

    def build(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        nontarget.need_three_classes(
            self.name,
            student_shape["logits"],
            "with two, the other classes are one and teach nothing",
        )

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        parts = dkd(
            student["logits"],
            teacher["logits"],
            batch.labels,
            temperature=self.temperature,
            target_weight=self.target_weight,
            nontarget_weight=self.nontarget_weight,
        )
        return parts["loss"]


def dkd(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    *,
    temperature: float,
    target_weight: float,
    nontarget_weight: float,
) -> dict[str, Any]:
    """Named parts of the method.

    Args:
        student_logits: (B, C) float, raw scores.
        teacher_logits: (B, C) float, raw scores; no gradient flows back.
        labels: (B,) int classes or (B, C) probabilities, of which the largest counts.
        temperature, target_weight, nontarget_weight: see `DKD`.

    Returns:
        `loss_tckd`, `loss_nckd`: (B,) float32 in nats, times temperature**2, without their
        weights. `loss`: (B,), their weighted sum.
    """
    student = ops.cast(student_logits, "float32") / temperature
    teacher = ops.stop_gradient(ops.cast(teacher_logits, "float32")) / temperature
    mask = nontarget.target_mask(labels, student.shape[-1])

    odds_s, odds_t = nontarget.log_odds(student, mask), nontarget.log_odds(teacher, mask)
    target = ops.sigmoid(odds_t) * (ops.log_sigmoid(odds_t) - ops.log_sigmoid(odds_s))
    rest = ops.sigmoid(-odds_t) * (ops.log_sigmoid(-odds_t) - ops.log_sigmoid(-odds_s))
    tckd = temperature**2 * (target + rest)

    log_q = nontarget.log_softmax_of_others(student, mask)
    log_p = nontarget.log_softmax_of_others(teacher, mask)
    p = ops.where(mask, 0.0, ops.exp(log_p))
    nckd = temperature**2 * ops.sum(p * (log_p - log_q), axis=-1)
    loss = target_weight * tckd + nontarget_weight * nckd
    return {"loss": loss, "loss_tckd": tckd, "loss_nckd": nckd}
