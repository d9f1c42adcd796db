"""Classifiers from `.onnx` files, run by ONNX Runtime."""

from pathlib import Path
from typing import Any

import numpy as np

from kd_keras.exports import metadata
from kd_keras.exports.runtimes import scores
from kd_keras.models import onnx_session, preprocessing

_DTYPES = {
    "tensor(uint8)": np.uint8,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
}


class Onnx:
    """An ONNX model as a `runtimes.Classifier`; see `runtimes.open_classifier`.

    Raises:
        ValueError: the model does not take one batch of images, cannot be opened, or onnxruntime is
            not installed.
    """

    format = "onnx"

    def __init__(self, path: Path, preprocess: str | None, *, multi_label: bool = False) -> None:
        self.path = path
        self._mode = preprocess or "0..255"
        self._session = onnx_session.open_session(path)
        inputs = self._session.get_inputs()
        shape: Any = inputs[0].shape if inputs else []
        if len(inputs) != 1 or len(shape) != 4 or inputs[0].type not in _DTYPES:
            raise ValueError(
                f"{path} has the inputs {[(i.name, i.type, i.shape) for i in inputs]}; expected "
                "one batch of images, (B, H, W, C) or (B, C, H, W). Use an image classifier."
            )
        self._input, self._dtype = inputs[0].name, _DTYPES[inputs[0].type]
        self._channels_first = shape[3] not in (1, 3) and shape[1] in (1, 3)
        self._batch = shape[0] if isinstance(shape[0], int) else None
        self._names = [output.name for output in self._session.get_outputs()]
        sizes = [shape[axis] for axis in ((2, 3, 1) if self._channels_first else (1, 2, 3))]
        has_fixed_sizes = all(isinstance(size, int) for size in sizes)
        self.metadata = metadata.read_onnx(
            self._session.get_modelmeta().custom_metadata_map
        ).filled_from(
            metadata.Metadata(
                image_shape=tuple(sizes) if has_fixed_sizes else None, multi_label=multi_label
            )
        )

    def __call__(self, images: np.ndarray) -> scores.Scores:
        batch = preprocessing.encode_array(images, self._mode)
        if np.issubdtype(self._dtype, np.integer):
            batch = np.round(batch)
        if self._channels_first:
            batch = batch.transpose(0, 3, 1, 2)
        batch = np.ascontiguousarray(batch, self._dtype)
        size = self._batch or len(batch)
        padded_batch = np.concatenate([batch, np.repeat(batch[-1:], -len(batch) % size, axis=0)])
        batches = [
            self._session.run(self._names, {self._input: padded_batch[start : start + size]})
            for start in range(0, len(padded_batch), size)
        ]
        outputs = {
            name: np.concatenate([arrays[index] for arrays in batches])[: len(images)]
            for index, name in enumerate(self._names)
        }
        return scores.from_outputs(outputs, multi_label=self.metadata.multi_label)


def open_file(path: Path, preprocess: str | None, multi_label: bool) -> Onnx:
    """See `runtimes.open_classifier`."""
    return Onnx(path, preprocess, multi_label=multi_label)
