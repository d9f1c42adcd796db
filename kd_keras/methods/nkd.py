"""Normalised non-targets: matches the target's probability, and the others after rescaling.

Loss: -p_t(y) log p_s(y) - nontarget_weight * T^2 * sum over c != y of q_t(c) log q_s(c). p is the
softmax at temperature 1, q the softmax over the C - 1 other classes at T.

Source: Yang et al. 2023, "From Knowledge Distillation to Self-Knowledge Distillation: A Unified
Approach with Normalized Loss and Customized Soft Labels", arXiv:2303.13005, where the weight is
called gamma. Defaults: T 1, gamma 1.5, cross-entropy 1. Reads logits and labels; of labels that are
probabilities, the largest is the target. No trained parts. Each example has its own loss. Needs
three classes or more: with two there is one other class, which teaches nothing. Both parts are
cross-entropies, so the loss is not zero at equality.
"""

from typing import Unpack

from kd_keras import check
from kd_keras.methods.base import Batch, CommonKnobs, ExampleLosses, Method, Outputs
from kd_keras.methods.parts.normalised import nkd


class NKD(Method):
    """Soft target, and normalised soft non-targets.

    Args:
        temperature: softmax temperature of the non-target classes, > 0, no unit.
        nontarget_weight: factor of the non-target classes' part, >= 0.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "logits"
    needs_labels = True
    needs_one_class = True
    min_classes = 3

    def __init__(
        self,
        *,
        temperature: float = 1.0,
        nontarget_weight: float = 1.5,
        **common: Unpack[CommonKnobs],
    ):
        super().__init__(**common)
        self.temperature = check.number("temperature", temperature, above=0)
        self.nontarget_weight = check.number("nontarget_weight", nontarget_weight, at_least=0)

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        terms = nkd(
            student["logits"],
            teacher["logits"],
            batch.labels,
            temperature=self.temperature,
            nontarget_weight=self.nontarget_weight,
        )
        return terms["loss"]
