"""Classifiers from `.keras` and `.h5` files, run by Keras."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from kd_keras.exports.metadata import Metadata
from kd_keras.exports.runtimes import scores
from kd_keras.graph import heads, taps
from kd_keras.models import model_files, preprocessing


class KerasFile:
    """A Keras model as a `runtimes.Classifier`; see `runtimes.open_classifier`."""

    format = "keras"

    def __init__(self, path: Path, preprocess: str | None, *, multi_label: bool = False) -> None:
        self.path = path
        self.model = model_files.open_model(path, two_logits=not multi_label)
        _, *sizes = self.model.inputs[0].shape
        shape = None if None in sizes else (sizes[0], sizes[1], sizes[2])
        self.metadata = Metadata(image_shape=shape, multi_label=multi_label)
        self._mode = preprocess or "0..255"
        head = heads.output_type(self.model, multi_label=multi_label)
        self._output = "logits" if head == "logits" else "probabilities"
        self._predict = tf.function(
            lambda images: taps.logits_of(self.model(images, training=False)),
            input_signature=[tf.TensorSpec((None, *sizes))],
        )

    def __call__(self, images: np.ndarray) -> scores.Scores:
        outputs = self._predict(preprocessing.encode_array(images, self._mode).astype("float32"))
        return scores.from_outputs(
            {self._output: outputs.numpy()}, multi_label=self.metadata.multi_label
        )


def open_file(path: Path, preprocess: str | None, multi_label: bool) -> KerasFile:
    """See `runtimes.open_classifier`."""
    return KerasFile(path, preprocess, multi_label=multi_label)
