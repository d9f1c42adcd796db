"""Alpha-beta divergence: between the two KL divergences of teacher and student.

Loss: sum_c [a / (a + b) * p_t(c)^(a + b) + b / (a + b) * p_s(c)^(a + b) - p_t(c)^a * p_s(c)^b]
/ (a * b), with a = teacher_exponent, b = student_exponent and p = softmax(logits / T).

Source: Wang et al. 2025, "ABKD: Pursuing a Proper Allocation of the Probability Mass in Knowledge
Distillation via alpha-beta-Divergence", arXiv:2505.04560, where the exponents are called alpha and
beta. At (1, 0) the limit is KL(teacher || student), at (0, 1) the reverse. Defaults: exponents 0.8
and 0.3, T 4, weight 64 and cross-entropy 1, the authors' example for CIFAR-100. Reads logits only.
No trained parts. Each example has its own loss. Without the factor T^2 of kd.
"""

from typing import Unpack

from keras import ops

from kd_keras import check
from kd_keras.methods.base import Batch, CommonKnobs, ExampleLosses, Method, Outputs
from kd_keras.tensor_types import Logits, LossTerms


class ABKD(Method):
    """Alpha-beta divergence of the two softmaxes at a temperature.

    Args:
        temperature: softmax temperature, > 0, no unit.
        teacher_exponent: alpha, > 0; large differences count more if it is lower.
        student_exponent: beta, > 0; classes that the student prefers count more if it is higher.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "logits"
    departures = (
        "Both exponents are above 0. The authors' code also has the limits in which one of them, "
        "or their sum, is 0."
    )
    default_weight = 64.0

    def __init__(
        self,
        *,
        temperature: float = 4.0,
        teacher_exponent: float = 0.8,
        student_exponent: float = 0.3,
        **common: Unpack[CommonKnobs],
    ):
        super().__init__(**common)
        self.temperature = check.number("temperature", temperature, above=0)
        self.teacher_exponent = check.number("teacher_exponent", teacher_exponent, above=0)
        self.student_exponent = check.number("student_exponent", student_exponent, above=0)

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        terms = abkd(
            student["logits"],
            teacher["logits"],
            temperature=self.temperature,
            teacher_exponent=self.teacher_exponent,
            student_exponent=self.student_exponent,
        )
        return terms["loss"]


def abkd(
    student_logits: Logits,
    teacher_logits: Logits,
    *,
    temperature: float,
    teacher_exponent: float,
    student_exponent: float,
) -> LossTerms:
    """Named parts of the method.

    Args:
        student_logits: (B, C) float, raw scores.
        teacher_logits: (B, C) float, raw scores; no gradient flows back.
        temperature, teacher_exponent, student_exponent: see `ABKD`.

    Returns:
        `loss`: (B,) float32, no unit, 0 at equality.
    """
    a, b = teacher_exponent, student_exponent
    teacher = ops.stop_gradient(ops.cast(teacher_logits, "float32"))
    log_t = ops.log_softmax(teacher / temperature, axis=-1)
    log_s = ops.log_softmax(ops.cast(student_logits, "float32") / temperature, axis=-1)
    # Powers as exponentials of logarithms: the slope of p^b is infinite at a p that underflows.
    power_sum = a * ops.exp((a + b) * log_t) + b * ops.exp((a + b) * log_s)
    product = ops.exp(a * log_t + b * log_s)
    return {"loss": ops.sum(power_sum / (a + b) - product, axis=-1) / (a * b)}
