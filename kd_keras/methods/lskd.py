"""Standardised logits: soft targets after every row of logits has mean 0 and deviation 1.

Cost: that of kd, or of dkd, on z' = (z - mean(z)) / (1e-7 + std(z)) of both networks, with the
deviation over C - 1, so that the student need not match the teacher's range of logits.

Source: Sun et al. 2024, "Logit Standardization in Knowledge Distillation", arXiv:2403.01427,
algorithm 1. Defaults: T 2, weight 9, cross-entropy 0.1; over dkd the authors give the
cross-entropy 1 and a warm-up of 1/12. Reads logits (over dkd labels too); no trainable parts;
works per example; needs three classes or more.
"""

from typing import Any

from keras import ops

from kd_keras import check, losses
from kd_keras.methods.base import Batch, Method, Outputs, Shapes, Tensor
from kd_keras.methods.dkd import dkd
from kd_keras.methods.parts import nontarget, vectors

STANDARDISATION_EPSILON = 1e-7  # of the authors' code, added to the deviation


class LSKD(Method):
    """Soft targets of standardised logits.

    Args:
        over: "kd" or "dkd", the cost that the standardised logits go into.
        temperature: > 0, no unit.
        target_weight, nontarget_weight: factors of dkd's two parts, >= 0; unused over "kd".
        weight, ce_weight, warmup, name: see `Method`.
    """

    min_classes = 3

    def __init__(
        self,
        *,
        over: str = "kd",
        temperature: float = 2.0,
        target_weight: float = 1.0,
        nontarget_weight: float = 8.0,
        weight: float = 9.0,
        ce_weight: float = 0.1,
        warmup: float = 0.0,
        name: str | None = None,
    ):
        super().__init__(weight=weight, ce_weight=ce_weight, warmup=warmup, name=name)
        self.over = check.one_of("over", over, ("kd", "dkd"))
        self.temperature = check.number("temperature", temperature, above=0)
        self.target_weight = check.number("target_weight", target_weight, at_least=0)
        self.nontarget_weight = check.number("nontarget_weight", nontarget_weight, at_least=0)

    def build(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        nontarget.need_three_classes(
            self.name, student_shape["logits"], "two standardised logits are always the same pair"
        )

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        parts = lskd(
            student["logits"],
            teacher["logits"],
            batch.labels,
            temperature=self.temperature,
            target_weight=self.target_weight,
            nontarget_weight=self.nontarget_weight,
        )
        return parts["loss" if self.over == "kd" else "loss_dkd"]


def lskd(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    *,
    temperature: float,
    target_weight: float,
    nontarget_weight: float,
    epsilon: float = STANDARDISATION_EPSILON,
) -> dict[str, Any]:
    """Named parts of the method.

    Args:
        student_logits: (B, C) float, raw scores.
        teacher_logits: (B, C) float, raw scores; no gradient flows back.
        labels: (B,) int classes or (B, C) probabilities, read by `loss_dkd` alone.
        temperature, target_weight, nontarget_weight: see `LSKD`.
        epsilon: added to the deviation.

    Returns:
        `loss`: (B,) float32 in nats, kd on standardised logits. `loss_dkd`: (B,), dkd on them.
    """
    student = standardised(student_logits, epsilon)
    teacher = standardised(teacher_logits, epsilon)
    decoupled = dkd(
        student,
        teacher,
        labels,
        temperature=temperature,
        target_weight=target_weight,
        nontarget_weight=nontarget_weight,
    )
    over_kd = losses.softened_kl(student, teacher, temperature=temperature)
    return {"loss": over_kd, "loss_dkd": decoupled["loss"]}


def standardised(logits: Tensor, epsilon: float = STANDARDISATION_EPSILON) -> Tensor:
    """(B, C) float32 with mean 0 and deviation 1 in each row; 0 where all logits are equal.

    Equal logits get no gradient: there is no direction to learn, and the formula's slope is 1e7.
    """
    logits = ops.cast(logits, "float32")
    centred = logits - ops.mean(logits, axis=-1, keepdims=True)
    deviation = vectors.norm(centred) / (logits.shape[-1] - 1) ** 0.5
    centred = ops.where(deviation > epsilon, centred, ops.stop_gradient(centred))
    return centred / (epsilon + deviation)
