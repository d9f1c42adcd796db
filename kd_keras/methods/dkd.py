"""Decoupled soft targets: the target class and the other classes get a weight each.

Loss: T^2 * [target_weight * KL of (p_y, 1 - p_y) + nontarget_weight * KL of the softmax over the
C - 1 other classes], teacher || student, both at temperature T.

Source: Zhao et al. 2022, "Decoupled Knowledge Distillation", arXiv:2203.08679, equation 7, where
the two weights are called alpha and beta. Defaults: T 4, weights 1 and 8, cross-entropy 1, warm-up
over 20 of 240 epochs. Reads logits and labels; of labels that are probabilities, the largest is the
target. No trained parts. Each example has its own loss. Needs three classes or more: with two there
is one other class, which teaches nothing.
"""

from typing import Unpack

from kd_keras import check
from kd_keras.methods.base import Batch, CommonKnobs, ExampleLosses, Method, Outputs
from kd_keras.methods.parts.decoupled import dkd


class DKD(Method):
    """Soft targets with the target class and the others decoupled.

    Args:
        temperature: softmax temperature, > 0, no unit.
        target_weight: factor, >= 0, of the KL between target and rest.
        nontarget_weight: factor, >= 0, of the KL among the other classes.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "logits"
    needs_labels = True
    needs_one_class = True
    default_warmup = 1 / 12
    min_classes = 3

    def __init__(
        self,
        *,
        temperature: float = 4.0,
        target_weight: float = 1.0,
        nontarget_weight: float = 8.0,
        **common: Unpack[CommonKnobs],
    ):
        super().__init__(**common)
        self.temperature = check.number("temperature", temperature, above=0)
        self.target_weight = check.number("target_weight", target_weight, at_least=0)
        self.nontarget_weight = check.number("nontarget_weight", nontarget_weight, at_least=0)

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        target_loss, nontarget_loss = self.parts_call(student, teacher, batch)
        return target_loss + nontarget_loss

    def parts_call(
        self, student: Outputs, teacher: Outputs, batch: Batch
    ) -> tuple[ExampleLosses, ExampleLosses]:
        terms = dkd(
            student["logits"],
            teacher["logits"],
            batch.labels,
            temperature=self.temperature,
            target_weight=self.target_weight,
            nontarget_weight=self.nontarget_weight,
        )
        target_loss = self.target_weight * terms["loss_tckd"]
        return target_loss, self.nontarget_weight * terms["loss_nckd"]
