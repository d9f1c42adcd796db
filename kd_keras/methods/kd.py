"""Soft targets: the student matches the teacher's softmax at a raised temperature.

Loss: T^2 * sum_c p_t(c) * (log p_t(c) - log p_s(c)) with p = softmax(logits / T). For images of
several classes (multi-label), T^2 * mean_c KL(Bernoulli(p_t(c)) || Bernoulli(p_s(c))) with
p = sigmoid(logits / T), as in Yang et al. 2023, arXiv:2308.06453, which has the sum and no T.

Source: Hinton, Vinyals, Dean 2015, "Distilling the Knowledge in a Neural Network",
arXiv:1503.02531, section 2. Defaults: T 4, weight 0.9 and cross-entropy 0.1, as in later
comparisons of the method. Reads logits only. No trained parts. Each example has its own loss.
"""

from typing import Unpack

from kd_keras import check, losses
from kd_keras.methods.base import Batch, CommonKnobs, ExampleLosses, Method, Outputs


class KD(Method):
    """Soft targets of the teacher at a temperature.

    Args:
        temperature: softmax temperature, > 0, no unit; wrong classes count more if it is higher.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "logits"
    supports_multi_label = True
    default_weight = 0.9
    default_ce_weight = 0.1

    def __init__(self, *, temperature: float = 4.0, **common: Unpack[CommonKnobs]):
        super().__init__(**common)
        self.temperature = check.number("temperature", temperature, above=0)

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        divergence = losses.softened_binary_kl if batch.multi_label else losses.softened_kl
        return divergence(student["logits"], teacher["logits"], temperature=self.temperature)
