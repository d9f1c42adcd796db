"""Makes the variables of compiled metrics before a step is traced, and updates them in it."""

from typing import Any

import keras
from keras import ops


def build(metrics: Any, labels: Any, classes: int) -> None:
    """Makes the metrics' variables from the shapes of the data, without calling a model.

    Keras builds metrics in the first step, where replicas can make no variables, or by a call of
    the model on the first batch, which fails for a batch of several views.

    Args:
        metrics: a model's `CompileMetrics`; None, or built already, changes nothing.
        labels: (B,) int classes or (B, C) float probabilities, or a KerasTensor of that form.
        classes: C.
    """
    if metrics is None or metrics.built:
        return
    with keras.StatelessScope():  # variables are made in it, and keep their first values
        example = ops.zeros((1, *labels.shape[1:]), labels.dtype)
        metrics.update_state(example, ops.zeros((1, classes)), sample_weight=ops.ones((1,)))
