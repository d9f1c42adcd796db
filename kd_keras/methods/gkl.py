"""Generalised KL: soft targets, and differences of logits weighted by the class's usual softmax.

Loss: soft_target_weight * sce + difference_weight * mse. sce = -sum_c p_t(c) log p_s(c) with
p = softmax(logits / T). mse = 1/4 sum w_i w_j (d_i - d_j)^2 / sum w_i w_j, both sums over all
examples of the batch and all pairs of classes i, j, with d = z_t - z_s and w = P(y)^exponent. P(y)
is the mean of softmax(z_t / prior_temperature) over the examples of the label's class; without
class_prior, w = softmax(z_t / prior_temperature)^exponent of the example itself.

Source: Cui et al. 2025, "Generalized Kullback-Leibler Divergence Loss", arXiv:2503.08038, where the
weights are called alpha and beta, and the exponent gamma. Defaults, the authors' for CIFAR-100:
weights 1 and 16, exponent 0.05, both temperatures 4, cross-entropy 1, warm-up over 20 of 240
epochs. For ImageNet they use beta 0.5, gamma 0.6, temperatures 1 and a warm-up over 5 epochs. Reads
logits, and with class_prior also labels; of labels that are probabilities, the largest is the
class. No trained parts. The loss belongs to the whole batch. Not zero at equality.
"""

from typing import Unpack

from keras import ops

from kd_keras import check
from kd_keras.methods.base import Batch, CommonKnobs, ExampleLosses, Method, Outputs, Shapes, Tensor
from kd_keras.methods.parts import nontarget
from kd_keras.tensor_types import Logits, LossTerms


class GKL(Method):
    """Cross-entropy with soft targets, and weighted differences of logits.

    Args:
        temperature: softmax temperature of the cross-entropy, > 0, no unit.
        prior_temperature: softmax temperature of the weights, > 0, no unit.
        exponent: power of the weights, >= 0; all classes count alike at 0.
        soft_target_weight: factor of sce, >= 0.
        difference_weight: factor of mse, >= 0.
        class_prior: True for weights of the label's class, False for each example's own.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "logits"
    departures = (
        "A class's prior is the mean over all of its examples so far, those of this batch "
        "included. The authors use the mean over the epoch before, and uniform priors in the first "
        "epoch."
    )
    old_knobs = (("cross_entropy_weight", "soft_target_weight"),)
    needs_whole_batch = True
    default_warmup = 1 / 12

    def __init__(
        self,
        *,
        temperature: float = 4.0,
        prior_temperature: float = 4.0,
        exponent: float = 0.05,
        soft_target_weight: float = 1.0,
        difference_weight: float = 16.0,
        class_prior: bool = True,
        **common: Unpack[CommonKnobs],
    ):
        super().__init__(**common)
        self.temperature = check.number("temperature", temperature, above=0)
        self.prior_temperature = check.number("prior_temperature", prior_temperature, above=0)
        self.exponent = check.number("exponent", exponent, at_least=0)
        self.soft_target_weight = check.number("soft_target_weight", soft_target_weight, at_least=0)
        self.difference_weight = check.number("difference_weight", difference_weight, at_least=0)
        self.class_prior = check.one_of("class_prior", class_prior, (True, False))
        self.needs_labels = self.needs_one_class = self.class_prior

    def build(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        if self.class_prior:
            classes = student_shape["logits"][-1]
            self.class_sums = self.add_weight(
                shape=(classes, classes), initializer="zeros", trainable=False, name="class_sums"
            )

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        teacher_logits = ops.stop_gradient(ops.cast(teacher["logits"], "float32"))
        own_probabilities = ops.softmax(teacher_logits / self.prior_temperature, axis=-1)
        terms = gkl(
            student["logits"],
            teacher_logits,
            self._priors(own_probabilities, batch) if self.class_prior else own_probabilities,
            temperature=self.temperature,
            exponent=self.exponent,
            soft_target_weight=self.soft_target_weight,
            difference_weight=self.difference_weight,
        )
        return terms["loss"]

    def _priors(self, own_probabilities: Tensor, batch: Batch) -> Tensor:
        """(B, C): the prior of each example's class, which counts the batch itself."""
        classes = own_probabilities.shape[-1]
        members = ops.cast(nontarget.target_mask(batch.labels, classes), "float32")
        sums = ops.convert_to_tensor(self.class_sums) + ops.matmul(
            ops.transpose(members), own_probabilities
        )
        if batch.training:
            self.class_sums.assign(sums)
        return ops.matmul(members, mean_rows(sums))


def mean_rows(sums: Tensor) -> Tensor:
    """(C, C) sums of probabilities to their means by row; a row without examples stays 0."""
    num_in_class = ops.sum(sums, axis=-1, keepdims=True)  # an example's probabilities sum to 1
    return sums / ops.where(num_in_class > 0, num_in_class, 1.0)


def gkl(
    student_logits: Logits,
    teacher_logits: Logits,
    priors: Tensor,
    *,
    temperature: float,
    exponent: float,
    soft_target_weight: float,
    difference_weight: float,
) -> LossTerms:
    """Named parts of the method.

    Args:
        student_logits: (B, C) float, raw scores.
        teacher_logits: (B, C) float, raw scores; no gradient flows back.
        priors: (B, C) float probabilities, which weigh the classes of each example.
        temperature, exponent, soft_target_weight, difference_weight: see `GKL`.

    Returns:
        `loss_sce`: (B,) float32 in nats, without T^2. `loss_mse`: scalar, of the whole batch.
        `loss`: (B,), their weighted sum.
    """
    student = ops.cast(student_logits, "float32")
    teacher = ops.stop_gradient(ops.cast(teacher_logits, "float32"))
    p = ops.softmax(teacher / temperature, axis=-1)
    sce = -ops.sum(p * ops.log_softmax(student / temperature, axis=-1), axis=-1)

    # Sums over pairs of classes as those about the weighted mean: no (B, C, C) array is needed.
    weights = ops.stop_gradient(ops.power(ops.cast(priors, "float32"), exponent))
    totals = ops.sum(weights, axis=-1, keepdims=True)
    shares = weights / totals
    difference = teacher - student
    centred = difference - ops.sum(shares * difference, axis=-1, keepdims=True)
    variances = ops.sum(shares * ops.square(centred), axis=-1)
    squares = ops.square(totals[:, 0])
    mse = 0.5 * ops.sum(squares * variances) / ops.sum(squares)
    loss = soft_target_weight * sce + difference_weight * mse
    return {"loss": loss, "loss_sce": sce, "loss_mse": mse}
