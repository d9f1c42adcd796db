"""Weighted transformed teacher matching: ttm, in which unsure answers of the teacher count more.

Loss: w * sum_c q(c) * (log q(c) - log p_s(c)) with p = softmax(logits), q = p_t^exponent / w and
w = sum_c p_t(c)^exponent. The weight w is 1 where the teacher is certain and at most
C^(1 - exponent).

Source: Zheng, Yang 2024, "Knowledge Distillation Based on Transformed Teacher Matching",
arXiv:2402.11148, section 4, where the exponent is called gamma. Defaults: exponent 0.2, weight 4
and cross-entropy 1, the authors' example for VGG13 and VGG8, in which crd is the second method; the
weight changes with the pair of models. Reads logits only. No trained parts. Each example has its
own loss. Not zero at equality, unless the exponent is 1.
"""

from typing import Unpack

from keras import ops

from kd_keras import check
from kd_keras.methods.base import Batch, CommonKnobs, ExampleLosses, Method, Outputs
from kd_keras.tensor_types import Logits, LossTerms


class WTTM(Method):
    """Softened targets for the student's plain softmax, weighted by their softness.

    Args:
        exponent: power of the teacher's probabilities, > 0, no unit; they are softer below 1.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "logits"
    default_weight = 4.0

    def __init__(self, *, exponent: float = 0.2, **common: Unpack[CommonKnobs]):
        super().__init__(**common)
        self.exponent = check.number("exponent", exponent, above=0)

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        return wttm(student["logits"], teacher["logits"], exponent=self.exponent)["loss"]


def wttm(student_logits: Logits, teacher_logits: Logits, *, exponent: float) -> LossTerms:
    """Named parts of the method.

    Args:
        student_logits: (B, C) float, raw scores.
        teacher_logits: (B, C) float, raw scores; no gradient flows back.
        exponent: see `WTTM`.

    Returns:
        `loss`: (B,) float32 in nats, times the example's weight.
    """
    teacher = ops.stop_gradient(ops.cast(teacher_logits, "float32"))
    powers = exponent * ops.log_softmax(teacher, axis=-1)  # logarithms: nothing underflows
    log_weight = ops.logsumexp(powers, axis=-1, keepdims=True)
    log_q = powers - log_weight
    log_p = ops.log_softmax(ops.cast(student_logits, "float32"), axis=-1)
    # q times the weight is the power itself.
    return {"loss": ops.sum(ops.exp(powers) * (log_q - log_p), axis=-1)}
