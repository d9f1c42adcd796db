"""Refined logits: the teacher's confidence for the label's class, and the classes below the label.

Loss: confidence_weight * scd + ranking_weight * mcd. scd = t^2 * KL of (p_t(top), 1 - p_t(top)) and
(p_s(y), 1 - p_s(y)) at t = confidence_temperature, where top is the teacher's largest class.
mcd = T^2 * KL of the softmaxes at T over the classes that the teacher scores strictly below the
label y; 0 if there are fewer than two.

Source: Sun et al. 2024, "Knowledge Distillation with Refined Logits", arXiv:2408.07703, section 3,
where the weights are called alpha and beta. So a wrong teacher does not contradict the labels.
Defaults, the authors' for CIFAR-100: weights 1 and 8, T 4, t 1, cross-entropy 1, warm-up over 20 of
240 epochs. The command in their README sets t to T. For ImageNet they use ranking weight 0.5
(ResNet-18) or 2 (MobileNetV1), T 1 and a warm-up of one epoch; with standardize, both weights times
9 and both temperatures 2. Reads logits and labels; of labels that are probabilities, the largest
counts. No trained parts. Each example has its own loss.
"""

from typing import Unpack

from keras import ops

from kd_keras import check
from kd_keras.methods.base import Batch, CommonKnobs, ExampleLosses, Labels, Method, Outputs
from kd_keras.methods.parts import nontarget, standard
from kd_keras.tensor_types import Logits, LossTerms


class RLD(Method):
    """Soft targets without those that contradict the label.

    Args:
        temperature: softmax temperature of mcd, > 0, no unit.
        confidence_temperature: softmax temperature of scd, > 0, no unit.
        confidence_weight: factor of scd, >= 0.
        ranking_weight: factor of mcd, >= 0.
        standardize: whether each row of logits is scaled to mean 0 and deviation 1 before, as in
            `lskd`; two classes are then too few.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "logits"
    needs_labels = True
    needs_one_class = True
    default_warmup = 1 / 12

    def __init__(
        self,
        *,
        temperature: float = 4.0,
        confidence_temperature: float = 1.0,
        confidence_weight: float = 1.0,
        ranking_weight: float = 8.0,
        standardize: bool = False,
        **common: Unpack[CommonKnobs],
    ):
        super().__init__(**common)
        self.temperature = check.number("temperature", temperature, above=0)
        self.confidence_temperature = check.number(
            "confidence_temperature", confidence_temperature, above=0
        )
        self.confidence_weight = check.number("confidence_weight", confidence_weight, at_least=0)
        self.ranking_weight = check.number("ranking_weight", ranking_weight, at_least=0)
        self.standardize = check.one_of("standardize", standardize, (True, False))
        if self.standardize:
            self.min_classes = 3

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        logits = student["logits"], teacher["logits"]
        if self.standardize:
            logits = standard.standardised(logits[0]), standard.standardised(logits[1])
        terms = rld(
            *logits,
            batch.labels,
            temperature=self.temperature,
            confidence_temperature=self.confidence_temperature,
            confidence_weight=self.confidence_weight,
            ranking_weight=self.ranking_weight,
        )
        return terms["loss"]


def rld(
    student_logits: Logits,
    teacher_logits: Logits,
    labels: Labels,
    *,
    temperature: float,
    confidence_temperature: float,
    confidence_weight: float,
    ranking_weight: float,
) -> LossTerms:
    """Named parts of the method.

    Args:
        student_logits: (B, C) float, raw scores.
        teacher_logits: (B, C) float, raw scores; no gradient flows back.
        labels: (B,) int classes or (B, C) probabilities, whose largest counts.
        temperature, confidence_temperature, confidence_weight, ranking_weight: see `RLD`.

    Returns:
        `loss_scd`, `loss_mcd`: (B,) float32 in nats, each times its temperature squared, without
        its weight. `loss`: (B,), their weighted sum.
    """
    student = ops.cast(student_logits, "float32")
    teacher = ops.stop_gradient(ops.cast(teacher_logits, "float32"))
    classes = student.shape[-1]
    target = nontarget.target_mask(labels, classes)
    top = nontarget.target_mask(ops.argmax(teacher, axis=-1), classes)
    scd = nontarget.two_way_kl(
        student / confidence_temperature, target, teacher / confidence_temperature, top
    )
    target_score = ops.sum(ops.where(target, teacher, 0.0), axis=-1, keepdims=True)
    is_hidden = teacher >= target_score
    mcd = nontarget.kl_of_others(student / temperature, teacher / temperature, is_hidden)
    scd, mcd = confidence_temperature**2 * scd, temperature**2 * mcd
    loss = confidence_weight * scd + ranking_weight * mcd
    return {"loss": loss, "loss_scd": scd, "loss_mcd": mcd}
