"""Distillation without a teacher: soft targets made from the student itself and a weak head.

Loss: -target_weight * P * log p(y) - nontarget_weight * sum over c != y of z(c) log q(c)
- weak_weight * sum over c of (0.9 label(c) + 0.1 / C) log w(c). p is the student's softmax, q the
softmax over the other classes, w the softmax of a trained dense head on an earlier feature.
P = 1 + p(y)^2 - its mean over the batch. z is Zipf's 1 / rank, renormalised over the others, of
w / (1 - w(y) + 1e-6) + log p / (1 - log p(y) + 1e-6). P and z carry no gradient.

Source: Yang et al. 2023, "From Knowledge Distillation to Self-Knowledge Distillation: A Unified
Approach with Normalized Loss and Customized Soft Labels", arXiv:2303.13005, and the authors' code.
The log p in the rank is theirs; they call the weights alpha, beta and mu. Defaults: 1, 0.1, 0.005,
cross-entropy 1. Reads the student's logits, one tap averaged over places, and the labels; of labels
that are probabilities, the two largest are targets. Trains the weak head. The loss belongs to the
whole batch. Needs three classes or more: with two there is nothing to rank.
"""

from typing import Unpack

import keras
from keras import ops

from kd_keras import check, losses
from kd_keras.methods.base import (
    Batch,
    CommonKnobs,
    ExampleLosses,
    Labels,
    Method,
    Outputs,
    Shapes,
    Tensor,
)
from kd_keras.methods.parts import nontarget
from kd_keras.tensor_types import Logits, LossTerms

RANK_EPSILON = 1e-6  # as in the authors' code: keeps the rank's scale finite where p(y) is 1
WEAK_SMOOTHING = 0.1  # share of the weak head's target that is spread over all classes


class USKD(Method):
    """Self-distillation with soft targets from the student's own ranking.

    Args:
        tap: the student's feature under the weak head, (B, D) or (B, H, W, D).
        target_weight, nontarget_weight, weak_weight: factors of the three parts, >= 0.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "online"
    departures = (
        "The default feature of the weak head is the pooled one, which every model of the zoo "
        "has. The authors use the last stage but one."
    )
    needs_labels = True
    teacher_free = True
    needs_whole_batch = True
    min_classes = 3

    def __init__(
        self,
        *,
        tap: str = "pooled",
        target_weight: float = 1.0,
        nontarget_weight: float = 0.1,
        weak_weight: float = 0.005,
        **common: Unpack[CommonKnobs],
    ):
        super().__init__(**common)
        self.tap = check.text("tap", tap, remedy="Name a layer, such as 'pooled'.")
        self.target_weight = check.number("target_weight", target_weight, at_least=0)
        self.nontarget_weight = check.number("nontarget_weight", nontarget_weight, at_least=0)
        self.weak_weight = check.number("weak_weight", weak_weight, at_least=0)

    @property
    def student_taps(self) -> tuple[str, ...]:
        return (self.tap,)

    def build(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        feature = student_shape[self.tap]
        if len(feature) not in (2, 4) or feature[-1] is None:
            raise ValueError(
                f"{self.name}: the student's tap {self.tap!r} has shape {feature}; expected (B, D) "
                "or (B, H, W, D) with a known D. Choose another with tap=."
            )
        self.weak_head = keras.layers.Dense(
            student_shape["logits"][-1], dtype="float32", name="weak_head"
        )
        self.weak_head.build((None, feature[-1]))

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        feature = ops.cast(student[self.tap], "float32")
        if len(feature.shape) == 4:
            feature = ops.mean(feature, axis=(1, 2))
        terms = uskd(
            student["logits"],
            self.weak_head(feature),
            batch.labels,
            target_weight=self.target_weight,
            nontarget_weight=self.nontarget_weight,
            weak_weight=self.weak_weight,
        )
        return terms["loss"]


def uskd(
    student_logits: Logits,
    weak_logits: Logits,
    labels: Labels,
    *,
    target_weight: float,
    nontarget_weight: float,
    weak_weight: float,
) -> LossTerms:
    """Named parts of the method.

    Args:
        student_logits: (B, C) float, raw scores.
        weak_logits: (B, C) float, raw scores of the weak head.
        labels: (B,) int classes or (B, C) probabilities, of which the two largest are targets.
        target_weight, nontarget_weight, weak_weight: see `USKD`.

    Returns:
        `loss_target`, `loss_nontarget`, `loss_weak`: (B,) float32 in nats, without their weights.
        `loss`: (B,), their weighted sum.
    """
    logits = ops.cast(student_logits, "float32")
    weak_float32 = ops.cast(weak_logits, "float32")
    num_classes = logits.shape[-1]
    values, classes = targets(labels)
    log_p, log_w = ops.log_softmax(logits, axis=-1), ops.log_softmax(weak_float32, axis=-1)

    log_p_target = ops.take_along_axis(log_p, classes, axis=-1)  # (B, K) of the K targets
    soft = target_weights(ops.exp(log_p_target), values)
    target_loss = -ops.sum(soft * log_p_target, axis=-1)

    hits = ops.one_hot(classes, num_classes, dtype="float32")  # (B, K, C)
    mask = ops.sum(hits, axis=1) > 0
    zipf = nontarget_labels(log_p, ops.exp(log_w), mask)
    log_q = nontarget.log_softmax_of_others(logits, mask)
    nontarget_loss = -ops.sum(zipf * log_q, axis=-1)

    weak_loss = losses.cross_entropy(labels, weak_float32, label_smoothing=WEAK_SMOOTHING)
    loss = target_weight * target_loss + nontarget_weight * nontarget_loss + weak_weight * weak_loss
    return {
        "loss": loss,
        "loss_target": target_loss,
        "loss_nontarget": nontarget_loss,
        "loss_weak": weak_loss,
    }


def targets(labels: Labels) -> tuple[Tensor, Tensor]:
    """The target classes' label values and indices, (B, K): one class, or the two most likely."""
    if losses.is_class_index(labels):
        classes = losses.class_index(labels)[:, None]
        return ops.ones_like(classes, dtype="float32"), classes
    values, classes = ops.top_k(ops.cast(labels, "float32"), 2)
    return values, ops.cast(classes, "int32")


def target_weights(p_target: Tensor, values: Tensor) -> Tensor:
    """(B, K), no gradient: p^2 + value - the batch's mean of p^2; 0 where the label's value is.

    Args:
        p_target: (B, K) float, the student's probabilities of the targets.
        values: (B, K) float, the targets' values in the label.
    """
    squares = ops.square(p_target)
    weights = squares + values - ops.mean(squares, axis=0, keepdims=True)
    return ops.stop_gradient(ops.where(values > 0, weights, 0.0))


def nontarget_labels(log_p: Tensor, w: Tensor, mask: Tensor) -> Tensor:
    """(B, C), no gradient: 1 / rank among all classes, summing to 1 over those not masked.

    Args:
        log_p: (B, C) float, the student's log-probabilities.
        w: (B, C) float, the weak head's probabilities.
        mask: (B, C) bool, True at the targets.
    """
    weak_rest = ops.sum(ops.where(mask, 0.0, w), axis=-1, keepdims=True)  # 1 - w(y), uncancelled
    strong_rest = 1 - ops.sum(ops.where(mask, log_p, 0.0), axis=-1, keepdims=True)
    score = w / (weak_rest + RANK_EPSILON) + log_p / (strong_rest + RANK_EPSILON)
    rank = ops.argsort(ops.argsort(-score, axis=-1), axis=-1)  # 0 is the largest
    zipf = ops.where(mask, 0.0, 1 / (ops.cast(rank, "float32") + 1))
    return ops.stop_gradient(zipf / ops.sum(zipf, axis=-1, keepdims=True))
