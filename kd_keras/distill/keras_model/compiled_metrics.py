"""Makes the variables of compiled metrics before a step is traced, and updates them in it."""

from typing import Any

import keras
from keras import ops

from kd_keras import losses
from kd_keras.distill.step import unknown_labels
from kd_keras.distill.step.batches import Examples
from kd_keras.tensor_types import Labels, Logits


def build(metrics: Any, labels: Any, num_classes: int) -> None:
    """Makes the metrics' variables from the form of the labels, without calling a model.

    Keras builds metrics in the first step, where replicas can make no variables, or by a call of
    the model on the first batch, which fails for a batch of several views.

    Args:
        metrics: a model's `CompileMetrics`; None, or built already, changes nothing.
        labels: (B,) int classes or (B, C) float probabilities, or a KerasTensor of that form; None,
            where the form is not known, changes nothing.
        num_classes: C.
    """
    if metrics is None or metrics.built or labels is None:
        return
    metrics.takes_indices = losses.is_class_index(labels)
    with keras.StatelessScope():  # variables are made in it, and keep their first values
        example = ops.zeros((1, *labels.shape[1:]), labels.dtype)
        metrics.update_state(example, ops.zeros((1, num_classes)), sample_weight=ops.ones((1,)))


def label_form(spec: Any) -> keras.KerasTensor | None:
    """The form of the labels that `batches.unpack` makes, by a dataset's `element_spec`.

    None for batches without labels, and for labels whose rank or number of classes is unknown.
    """
    _, y, _ = keras.utils.unpack_x_y_sample_weight(spec)
    shape = getattr(y, "shape", None)
    if shape is None or shape.rank not in (1, 2) or (shape.rank == 2 and shape[-1] is None):
        return None
    if losses.is_class_index(y):
        return keras.KerasTensor((None,), "int32")
    return keras.KerasTensor((None, shape[-1]), "float32")


def update(metrics: Any, examples: Examples, logits: Logits) -> None:
    """Adds a batch; examples whose label is unknown do not count.

    Labels get the form of those that the metrics were made for: Keras took "accuracy" for sparse or
    categorical accuracy by it. Of probabilities, the class is then the largest.

    Args:
        metrics: a model's `CompileMetrics`.
        examples: the batch.
        logits: (B, C).
    """
    labels, sample_weight, known = examples.labels, examples.sample_weight, examples.known
    if known is None:
        labels = _in_form(metrics, labels, logits)
        metrics.update_state(labels, logits, sample_weight=sample_weight)
        return
    labels = _in_form(metrics, unknown_labels.unknown_as_class_0(labels, known), logits)
    if not metrics.built:
        metrics.build(labels, logits)
    counts = ops.cast(known, "float32")
    weights = counts if sample_weight is None else counts * ops.cast(sample_weight, "float32")
    # Keras gives `metrics` no weight and has no option to leave examples out.
    for group, group_weights in (
        (metrics._flat_metrics, counts),
        (metrics._flat_weighted_metrics, weights),
    ):
        for metrics_of_output in filter(None, group):
            metrics_of_output.update_state(labels, logits, sample_weight=group_weights)


def _in_form(metrics: Any, labels: Labels, logits: Logits) -> Labels:
    """The labels as class indices or as rows, as those were that the metrics were made for."""
    are_indices = losses.is_class_index(labels)
    if not metrics.built:
        metrics.takes_indices = are_indices
    if getattr(metrics, "takes_indices", are_indices) == are_indices:
        return labels
    if are_indices:
        return ops.one_hot(labels, logits.shape[-1], dtype="float32")
    return ops.argmax(labels, axis=-1)
