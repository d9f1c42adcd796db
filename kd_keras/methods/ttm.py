"""Transformed teacher matching: only the teacher's softmax is softened, the student's is not.

Loss: sum_c q(c) * (log q(c) - log p_s(c)) with p = softmax(logits) and q = p_t^exponent, divided by
its sum over the classes. That is softmax(exponent * logits), the teacher's at temperature
1 / exponent.

Source: Zheng, Yang 2024, "Knowledge Distillation Based on Transformed Teacher Matching",
arXiv:2402.11148, section 3, where the exponent is called gamma. Defaults: exponent 0.1, weight 45
and cross-entropy 1, the authors' example for VGG13 and VGG8; the weight changes with the pair of
models. Reads logits only. No trained parts. Each example has its own loss. Without the factor T^2
of kd. Not zero at equality, unless the exponent is 1.
"""

from typing import Unpack

from keras import ops

from kd_keras import check
from kd_keras.methods.base import Batch, CommonKnobs, ExampleLosses, Method, Outputs
from kd_keras.tensor_types import Logits, LossTerms


class TTM(Method):
    """Softened targets for the student's plain softmax.

    Args:
        exponent: power of the teacher's probabilities, > 0, no unit; they are softer below 1.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "logits"
    default_weight = 45.0

    def __init__(self, *, exponent: float = 0.1, **common: Unpack[CommonKnobs]):
        super().__init__(**common)
        self.exponent = check.number("exponent", exponent, above=0)

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        return ttm(student["logits"], teacher["logits"], exponent=self.exponent)["loss"]


def ttm(student_logits: Logits, teacher_logits: Logits, *, exponent: float) -> LossTerms:
    """Named parts of the method.

    Args:
        student_logits: (B, C) float, raw scores.
        teacher_logits: (B, C) float, raw scores; no gradient flows back.
        exponent: see `TTM`.

    Returns:
        `loss`: (B,) float32 in nats.
    """
    teacher = ops.stop_gradient(ops.cast(teacher_logits, "float32"))
    log_q = ops.log_softmax(exponent * teacher, axis=-1)
    log_p = ops.log_softmax(ops.cast(student_logits, "float32"), axis=-1)
    return {"loss": ops.sum(ops.exp(log_q) * (log_q - log_p), axis=-1)}
