"""Relations instead of values: the student's predictions correlate with the teacher's.

Loss: T^2 * [inter_weight * (1 - rho of each example's probabilities) + intra_weight * (1 - mean
over classes of rho of each class's probabilities over the batch)], p = softmax(logits / T),
rho(a, b) = <a, b> / (|a| |b| + 1e-8) after centring.

Source: Huang et al. 2022, "Knowledge Distillation from A Stronger Teacher", arXiv:2205.10536,
where the two weights are called beta and gamma. Defaults: weight 2, T 4 (the paper's value for
small images; 1 on ImageNet), cross-entropy 1. Reads logits only. No trained parts. The loss belongs
to the whole batch. Needs three classes or more, since two probabilities always correlate fully.
Because of the 1e-8 the loss is not exactly zero at equality where a class has almost no probability
in the batch.
"""

from typing import Unpack

from keras import ops

from kd_keras import check
from kd_keras.methods.base import Batch, CommonKnobs, ExampleLosses, Method, Outputs, Tensor
from kd_keras.methods.parts import vectors
from kd_keras.tensor_types import Logits, LossTerms

CORRELATION_EPSILON = 1e-8  # of the authors' code, added to the product of the norms


class DIST(Method):
    """Correlation with the teacher's probabilities within examples and within classes.

    Args:
        temperature: softmax temperature, > 0, no unit.
        inter_weight: factor, >= 0, of the relations between the classes of an example.
        intra_weight: factor, >= 0, of the relations between the examples of a class.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "logits"
    default_weight = 2.0

    needs_whole_batch = True
    min_classes = 3

    def __init__(
        self,
        *,
        temperature: float = 4.0,
        inter_weight: float = 1.0,
        intra_weight: float = 1.0,
        **common: Unpack[CommonKnobs],
    ):
        super().__init__(**common)
        self.temperature = check.number("temperature", temperature, above=0)
        self.inter_weight = check.number("inter_weight", inter_weight, at_least=0)
        self.intra_weight = check.number("intra_weight", intra_weight, at_least=0)

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        terms = dist(
            student["logits"],
            teacher["logits"],
            temperature=self.temperature,
            inter_weight=self.inter_weight,
            intra_weight=self.intra_weight,
        )
        return terms["loss"]


def dist(
    student_logits: Logits,
    teacher_logits: Logits,
    *,
    temperature: float,
    inter_weight: float,
    intra_weight: float,
) -> LossTerms:
    """Named parts of the method.

    Args:
        student_logits: (B, C) float, raw scores.
        teacher_logits: (B, C) float, raw scores; no gradient flows back.
        temperature, inter_weight, intra_weight: see `DIST`.

    Returns:
        `loss_inter`: (B,) float32, 0 to 2 times temperature**2. `loss_intra`: the same as a
        scalar, mean over classes. `loss`: (B,), their weighted sum.
    """
    student = ops.softmax(ops.cast(student_logits, "float32") / temperature, axis=-1)
    teacher = ops.softmax(ops.cast(teacher_logits, "float32") / temperature, axis=-1)
    teacher = ops.stop_gradient(teacher)
    inter = temperature**2 * (1 - correlation(student, teacher, axis=1))
    intra = temperature**2 * (1 - ops.mean(correlation(student, teacher, axis=0)))
    loss = inter_weight * inter + intra_weight * intra
    return {"loss": loss, "loss_inter": inter, "loss_intra": intra}


def correlation(a: Tensor, b: Tensor, *, axis: int) -> Tensor:
    """Pearson's rho of two (B, C) arrays along `axis`; 0, without gradient, if one is constant.

    Args:
        a, b: (B, C) float.
        axis: 0: over the examples; 1 or -1: over the classes.
    """
    a = a - ops.mean(a, axis=axis, keepdims=True)
    b = b - ops.mean(b, axis=axis, keepdims=True)
    norms = ops.squeeze(vectors.norm(a, axis) * vectors.norm(b, axis), axis)
    return ops.sum(a * b, axis=axis) / (norms + CORRELATION_EPSILON)
