"""Standardised logits: soft targets after each row of logits is scaled to mean 0 and deviation 1.

Loss: that of kd, or of dkd, on z' = (z - mean(z)) / (1e-7 + std(z)) of both networks, with the
deviation over C - 1. The student need not match the range of the teacher's logits.

Source: Sun et al. 2024, "Logit Standardization in Knowledge Distillation", arXiv:2403.01427,
algorithm 1. Defaults: T 2, weight 9, cross-entropy 0.1; with dkd the authors use cross-entropy 1
and a warm-up of 1/12. Reads logits, and with dkd also labels. No trained parts. Each example has
its own loss. Needs three classes or more: two standardised logits are always the same pair.
"""

from typing import Unpack

from kd_keras import check, losses
from kd_keras.methods.base import Batch, CommonKnobs, ExampleLosses, Labels, Method, Outputs
from kd_keras.methods.parts.decoupled import dkd
from kd_keras.methods.parts.standard import STANDARDISATION_EPSILON, standardised
from kd_keras.tensor_types import Logits, LossTerms


class LSKD(Method):
    """Soft targets of standardised logits.

    Args:
        base_method: "kd" or "dkd", the loss that is computed from the standardised logits.
        temperature: softmax temperature, > 0, no unit.
        target_weight, nontarget_weight: factors of dkd's two parts, >= 0; unused with "kd".
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "logits"
    default_weight = 9.0
    default_ce_weight = 0.1
    old_knobs = (("over", "base_method"),)
    min_classes = 3

    def __init__(
        self,
        *,
        base_method: str = "kd",
        temperature: float = 2.0,
        target_weight: float = 1.0,
        nontarget_weight: float = 8.0,
        **common: Unpack[CommonKnobs],
    ):
        super().__init__(**common)
        self.base_method = check.one_of("base_method", base_method, ("kd", "dkd"))
        self.needs_labels = self.needs_one_class = base_method == "dkd"
        self.temperature = check.number("temperature", temperature, above=0)
        self.target_weight = check.number("target_weight", target_weight, at_least=0)
        self.nontarget_weight = check.number("nontarget_weight", nontarget_weight, at_least=0)

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        logits = student["logits"], teacher["logits"]
        if self.base_method == "kd":
            return lskd(*logits, temperature=self.temperature)["loss"]
        terms = lskd_over_dkd(
            *logits,
            batch.labels,
            temperature=self.temperature,
            target_weight=self.target_weight,
            nontarget_weight=self.nontarget_weight,
        )
        return terms["loss"]


def lskd(
    student_logits: Logits,
    teacher_logits: Logits,
    *,
    temperature: float,
    epsilon: float = STANDARDISATION_EPSILON,
) -> LossTerms:
    """Named parts of the method with kd.

    Args:
        student_logits: (B, C) float, raw scores.
        teacher_logits: (B, C) float, raw scores; no gradient flows back.
        temperature: see `LSKD`.
        epsilon: added to the deviation.

    Returns:
        `loss`: (B,) float32 in nats, the loss of kd on standardised logits.
    """
    student = standardised(student_logits, epsilon)
    teacher = standardised(teacher_logits, epsilon)
    return {"loss": losses.softened_kl(student, teacher, temperature=temperature)}


def lskd_over_dkd(
    student_logits: Logits,
    teacher_logits: Logits,
    labels: Labels,
    *,
    temperature: float,
    target_weight: float,
    nontarget_weight: float,
    epsilon: float = STANDARDISATION_EPSILON,
) -> LossTerms:
    """Named parts of the method with dkd: those of `dkd` on standardised logits, (B,) float32.

    Args:
        student_logits, teacher_logits, epsilon: see `lskd`.
        labels: (B,) int classes or (B, C) probabilities, whose largest is the target.
        temperature, target_weight, nontarget_weight: see `LSKD`.
    """
    return dkd(
        standardised(student_logits, epsilon),
        standardised(teacher_logits, epsilon),
        labels,
        temperature=temperature,
        target_weight=target_weight,
        nontarget_weight=nontarget_weight,
    )
