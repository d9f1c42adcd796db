"""Measures mAP and F1 after each epoch of a multi-label training."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kd_keras.data.stores.store import Split
from kd_keras.results.evaluation import measure_model
from kd_keras.results.metrics import multi_label


def mean_average_precision_on(split: Split) -> Callable[[Any], float]:
    """A function from a model in training to the mAP of its deployed model on these images."""
    score: Callable[[Split], np.ndarray] | None = None

    def measure(model: Any) -> float:
        nonlocal score
        score = score or measure_model.scorer(model.deployed)
        return multi_label.mean_average_precision(split.labels, score(split))

    return measure


class ValidationScores(keras.callbacks.Callback):
    """Adds `val_map` and `val_f1`, see `multi_label.measure`, to the logs of an epoch.

    Average precision ranks all images, so it is not a mean over batches, as Keras's metrics are.
    Put this before callbacks that write logs and after
    `keras.callbacks.SwapEMAWeights(swap_on_epoch=True)`.

    Args:
        validation: the images.
    """

    def __init__(self, validation: Split) -> None:
        super().__init__()
        self._validation = validation
        self._score: Callable[[Split], np.ndarray] | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is None:
            return
        self._score = self._score or measure_model.scorer(self.model.deployed)
        measurements = multi_label.measure(self._validation.labels, self._score(self._validation))
        logs |= {"val_map": measurements["map"], "val_f1": measurements["f1"]}
