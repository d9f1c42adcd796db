"""Metrics of this package: accuracy, agreement, and each term's share of the loss."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import keras

from kd_keras import check, losses
from kd_keras.tensor_types import Tensor


@keras.saving.register_keras_serializable(package="kd_keras")
class ShareOfLoss(keras.metrics.Metric):
    """Ratio of two sums: a term's share of the loss, 0 to 1 if all terms are positive."""

    def __init__(self, name: str = "share"):
        super().__init__(name=name)
        self.partial_sum = self.add_variable((), "zeros", name="part")
        self.whole = self.add_variable((), "zeros", name="whole")

    def update_state(self, partial_sum: Tensor, whole: Tensor) -> None:
        """Adds scalars, each a sum over the examples of a batch."""
        self.partial_sum.assign_add(keras.ops.cast(partial_sum, "float32"))
        self.whole.assign_add(keras.ops.cast(whole, "float32"))

    def result(self) -> Tensor:
        return keras.ops.divide_no_nan(self.partial_sum, self.whole)


@keras.saving.register_keras_serializable(package="kd_keras")
class TopAccuracy(keras.metrics.Mean):
    """Share of the examples whose label is among the k classes that score highest.

    As in every figure of this package, the lower class comes first among equal scores, and scores
    with a NaN are never right. Keras's top-k metric counts every class that ties with the k-th.

    Args:
        k: at least 1.
        name: in logs.
    """

    def __init__(self, k: int = 1, name: str = "top1", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.k = check.whole_number("k", k, at_least=1)

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Any = None) -> None:
        """Adds a batch: labels as `losses.in_top` takes them, and scores (B, C)."""
        right = losses.in_top(y_true, y_pred, k=self.k)
        super().update_state(right, sample_weight=sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {"k": self.k, "name": self.name, "dtype": self.dtype}


class Diagnostics:
    """The Distiller's own metrics, by the phase that updates them.

    Args:
        terms: names of the loss's terms: "ce", then the methods.
        teacher: whether there is a teacher to agree with.
        trains_deployed: whether what is trained is what is deployed. If not, agreement in training
            would be of another model and is left out.
    """

    def __init__(self, terms: list[str], *, teacher: bool, trains_deployed: bool = True):
        self.loss = keras.metrics.Mean("loss")
        self.terms = {name: keras.metrics.Mean(name) for name in terms}
        self.shares = {name: ShareOfLoss(f"{name}_share") for name in terms if len(terms) > 1}
        self.agreement = keras.metrics.Mean("agreement") if teacher else None
        self.trains_deployed = trains_deployed

    def all_metrics(self) -> list[keras.metrics.Metric]:
        """All metrics that Keras resets at the start of an epoch, whichever phase updates them."""
        agreement = [self.agreement] if self.agreement else []
        return [self.loss, *self.terms.values(), *self.shares.values(), *agreement]

    def in_training(self, *, labels: bool = True) -> list[keras.metrics.Metric]:
        """Without `labels`, those of the cross-entropy are left out."""
        left_out = [] if self.trains_deployed else [self.agreement]
        left_out += [] if labels else [self.terms["ce"], self.shares.get("ce")]
        return [m for m in self.all_metrics() if not any(m is other for other in left_out)]

    def in_evaluation(
        self, *, teacher: bool, methods: Sequence[str] = ()
    ) -> list[keras.metrics.Metric]:
        """With `methods`, the names of those whose losses validation reports."""
        agreement = [self.agreement] if self.agreement and teacher else []
        return [self.loss, self.terms["ce"], *(self.terms[name] for name in methods), *agreement]

    def update_agreement(self, student_logits: Tensor, teacher_logits: Tensor) -> None:
        """Adds a batch of (B, C) logits; the result is NaN if the teacher's are not finite."""
        if self.agreement:
            known = keras.ops.all(keras.ops.isfinite(teacher_logits), axis=-1)
            same = losses.agreement(student_logits, teacher_logits)
            self.agreement.update_state(keras.ops.where(known, same, math.nan))

    def update(
        self,
        loss: Tensor,
        terms: dict[str, Tensor],
        weighted: dict[str, Tensor],
        count: Tensor,
        counts: dict[str, Tensor] | None = None,
    ) -> None:
        """Adds a batch.

        Args:
            loss: scalar, the batch's mean loss.
            terms: scalar mean of each term, without its weight.
            weighted: the same with its weight, as it stands in the loss.
            count: number of examples in the batch.
            counts: number of examples of terms that are means over fewer, and of "loss".
        """
        count, counts = keras.ops.cast(count, "float32"), counts or {}
        self.loss.update_state(loss, sample_weight=counts.get("loss", count))
        for name, value in terms.items():
            self.terms[name].update_state(value, sample_weight=counts.get(name, count))
        for name, share in self.shares.items():
            if name in weighted:
                share.update_state(weighted[name] * count, loss * count)


def results(metrics: Iterable[keras.metrics.Metric]) -> dict[str, Tensor]:
    """Each metric's result by its name; compiled metrics give a dict of their own."""
    named: dict[str, Tensor] = {}
    for metric in metrics:
        result = metric.result()
        named |= result if isinstance(result, dict) else {metric.name: result}
    return named
