"""Logits matched on three levels: example, batch and class, at five temperatures, on two views.

Loss: kd + cc + bc, with Ts = (T, e1, e2, e3, e4), P = softmax(weak logits / T'):
kd = m * sum over Ts of kd(weak) + sum over T, e1, e2 of kd(strong) + sum over e3, e4 of kd(weak);
cc = c * sum over Ts of |Pt'Pt - Ps'Ps|^2 / C; bc = m * sum over Ts of |PtPt' - PsPs'|^2 / B;
m = share of examples whose teacher confidence is at most the batch's median, c = share of classes
whose summed teacher probability is at most the median over classes.

Source: Jin, Wang, Lin 2023, "Multi-Level Logit Distillation", CVPR, as in the authors' code. Its
masks act on sums that are already reduced, so only their means m and c count; it also uses e3 and
e4 on the weak view. Defaults: T 4, e = 3, 5, 2, 6, weight 0.9, cross-entropy 0.1 on each view.
Reads logits of two views of each image; the first is the weak one. No trained parts. The loss
belongs to the whole batch.
"""

from typing import Unpack

from keras import ops

from kd_keras import check, losses
from kd_keras.methods.base import Batch, CommonKnobs, ExampleLosses, Method, Outputs, Tensor
from kd_keras.methods.parts import nontarget, two_views
from kd_keras.tensor_types import Logits, LossTerms

# Beyond this log-odds a float64 probability is exactly 1, and the reference counts such
# confidences as equal: log(2^53).
SATURATED_LOG_ODDS = 36.7368


class MLKD(Method):
    """Soft targets, class correlations and batch correlations at several temperatures.

    Args:
        temperature: softmax temperature, > 0, no unit.
        extra_temperatures: four more temperatures, > 0; the strong view uses the first two.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "logits"
    departures = (
        "Both views have the augmentation of the pipeline (--augment), so neither is the weak one. "
        "The authors use RandAugment for the second alone; --augment strong has it in both."
    )
    default_weight = 0.9
    default_ce_weight = 0.1

    needs_whole_batch = True
    views_per_image = 2

    def __init__(
        self,
        *,
        temperature: float = 4.0,
        extra_temperatures: tuple[float, ...] = (3.0, 5.0, 2.0, 6.0),
        **common: Unpack[CommonKnobs],
    ):
        super().__init__(**common)
        self.temperature = check.number("temperature", temperature, above=0)
        self.extra_temperatures = two_views.temperatures(
            "extra_temperatures",
            extra_temperatures,
            count=4,
            expected="four",
            example="(3, 5, 2, 6)",
        )

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        terms = mlkd(
            *two_views.logits(student, teacher),
            temperature=self.temperature,
            extra_temperatures=self.extra_temperatures,
        )
        return terms["loss"]


def mlkd(
    student_weak: Tensor,
    student_strong: Tensor,
    teacher_weak: Tensor,
    teacher_strong: Tensor,
    *,
    temperature: float,
    extra_temperatures: tuple[float, ...],
) -> LossTerms:
    """Named parts of the method.

    Args:
        student_weak, student_strong: (B, C) float, raw scores of the two views.
        teacher_weak, teacher_strong: (B, C) float, raw scores; no gradient flows back.
        temperature, extra_temperatures: see `MLKD`.

    Returns:
        `loss_kd`: (B,) float32 in nats, each term times its temperature squared. `loss_cc`,
        `loss_bc`: scalars. `loss`: (B,), the sum of the three.
    """
    temperatures = (temperature, *extra_temperatures)
    student = ops.cast(student_weak, "float32")
    teacher = ops.stop_gradient(ops.cast(teacher_weak, "float32"))
    unsure_share = share_up_to_median(confidence(teacher))
    rare_share = share_up_to_median(ops.logsumexp(ops.log_softmax(teacher, axis=-1), axis=0))

    weak_losses = {t: losses.softened_kl(student, teacher, temperature=t) for t in temperatures}
    strong_losses = [
        losses.softened_kl(student_strong, teacher_strong, temperature=t) for t in temperatures[:3]
    ]
    kd = unsure_share * sum(weak_losses[t] for t in temperatures) + sum(strong_losses)
    kd += sum(weak_losses[t] for t in temperatures[3:])
    pairs = [(ops.softmax(student / t), ops.softmax(teacher / t)) for t in temperatures]
    cc = rare_share * sum(gram_distance(ops.transpose(s), ops.transpose(t)) for s, t in pairs)
    bc = unsure_share * sum(gram_distance(s, t) for s, t in pairs)
    return {"loss": kd + cc + bc, "loss_kd": kd, "loss_cc": cc, "loss_bc": bc}


def gram_distance(first: Tensor, second: Tensor) -> Tensor:
    """Scalar: squared Frobenius distance of the two (N, D) arrays' N x N Grams, divided by N.

    Args:
        first, second: (N, D) float.
    """
    # AA' - BB' is the symmetric part of (A - B)(A + B)', where nothing cancels as A nears B.
    product = ops.matmul(first - second, ops.transpose(first + second))
    difference = (product + ops.transpose(product)) / 2
    return ops.mean(ops.sum(ops.square(difference), axis=-1))


def confidence(logits: Logits) -> Tensor:
    """(B,) float32: log-odds of the largest probability, which order examples as it does."""
    largest_mask = nontarget.target_mask(ops.argmax(logits, axis=-1), logits.shape[-1])
    return ops.minimum(nontarget.log_odds(logits, largest_mask), SATURATED_LOG_ODDS)


def share_up_to_median(values: Tensor) -> Tensor:
    """Scalar float32: share of the (N,) values that are at most their median.

    Of an even number of values the median lies between the middle two, and as many are at most
    that as are at most the lower of the two; so the lower one serves, whatever the scale.
    """
    middle = (ops.shape(values)[0] - 1) // 2
    median = ops.take(ops.sort(values), middle)
    return ops.mean(ops.cast(values <= median, "float32"))
