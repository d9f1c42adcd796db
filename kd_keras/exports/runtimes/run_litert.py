"""Classifiers from `.tflite` files, run by LiteRT's interpreter."""

from pathlib import Path
from typing import Any

import numpy as np

from kd_keras.exports import metadata, silence
from kd_keras.exports.runtimes import scores
from kd_keras.models import preprocessing

_IDENTIFIER = b"TFL3"  # bytes 4 to 8 of each LiteRT file


class LiteRT:
    """A LiteRT model as a `runtimes.Classifier`; see `runtimes.open_classifier`.

    Raises:
        ValueError: the model does not take one batch of images.
    """

    format = "litert"

    def __init__(
        self,
        path: Path,
        preprocess: str | None,
        *,
        threads: int | None = None,
        multi_label: bool = False,
    ) -> None:
        self.path = path
        self._mode = preprocess or "0..255"
        self._threads = threads
        self._interpreter = _interpreter(path, threads)
        inputs = self._interpreter.get_input_details()
        if len(inputs) != 1 or len(inputs[0]["shape"]) != 4:
            shapes = [tuple(map(int, entry["shape"])) for entry in inputs]
            raise ValueError(
                f"{path} takes inputs of shapes {shapes}; expected one batch of images, (1, "
                "height, width, channels). Use an image classifier."
            )
        (self._input,) = inputs
        self._own_batch, height, width, channels = map(int, self._input["shape"])
        self.metadata = metadata.read_litert(path).filled_from(
            metadata.Metadata(image_shape=(height, width, channels), multi_label=multi_label)
        )
        self._names = _output_names(self._interpreter)
        self._batch = 0
        self._takes_any_batch = True

    def __call__(self, images: np.ndarray) -> scores.Scores:
        if self._takes_any_batch:
            try:
                return self._run(images)
            except RuntimeError:
                if len(images) == self._own_batch:
                    raise
            # A model may reshape to the batch that it was converted for. What failed is reopened.
            self._takes_any_batch, self._batch = False, 0
            self._interpreter = _interpreter(self.path, self._threads)
        size, num_images = self._own_batch, len(images)
        padded_images = np.concatenate([images, np.repeat(images[-1:], -num_images % size, axis=0)])
        batches = [
            self._run(padded_images[start : start + size])
            for start in range(0, len(padded_images), size)
        ]
        logits, probabilities = (
            np.concatenate(batch)[:num_images] for batch in zip(*batches, strict=True)
        )
        return scores.Scores(logits, probabilities)

    def _run(self, images: np.ndarray) -> scores.Scores:
        if len(images) != self._batch:
            self._interpreter.resize_tensor_input(self._input["index"], images.shape)
            self._interpreter.allocate_tensors()
            self._batch = len(images)
        batch = preprocessing.encode_array(images, self._mode)
        self._interpreter.set_tensor(self._input["index"], _quantise(batch, self._input))
        self._interpreter.invoke()
        outputs, rounding = {}, 0.0
        for entry in self._interpreter.get_output_details():
            values = self._interpreter.get_tensor(entry["index"])
            scale, zero = entry["quantization"]
            if np.issubdtype(values.dtype, np.integer) and scale:
                values = (values.astype(np.float32) - zero) * scale
                rounding = max(rounding, scale / 2)
            outputs[self._names[entry["index"]]] = values
        multi_label = self.metadata.multi_label
        return scores.from_outputs(outputs, rounding=rounding, multi_label=multi_label)


def open_file(path: Path, preprocess: str | None, multi_label: bool) -> LiteRT:
    """See `runtimes.open_classifier`."""
    return LiteRT(path, preprocess, multi_label=multi_label)


def _interpreter(path: Path, threads: int | None) -> Any:
    with path.open("rb") as file:
        start = file.read(8)
    if start[4:] != _IDENTIFIER:
        raise ValueError(
            f"{path} ({path.stat().st_size:,} bytes) is not a LiteRT model; expected one written "
            "by "
            "LiteRT's converter. Check the file, or export it again."
        )
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise ValueError(
            f"{path} is a LiteRT model, and ai-edge-litert is not installed ({error}). "
            "Run pip install 'kd-keras[litert]'."
        ) from error
    try:
        with silence.silent():  # a line about its delegate
            interpreter = Interpreter(model_path=str(path), num_threads=threads)
            interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"{path} cannot be opened as a LiteRT model ({' '.join(str(error).split())}); "
            "expected a whole one. Copy or export it again."
        ) from error
    return interpreter


def _quantise(batch: np.ndarray, entry: dict[str, Any]) -> np.ndarray:
    """The batch as the input's dtype: pixels as they are, or by the input's scale."""
    dtype = np.dtype(entry["dtype"])
    scale, zero = entry["quantization"]
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        values = batch / scale + zero if scale else batch
        batch = np.clip(np.round(values), limits.min, limits.max)
    return batch.astype(dtype)


def _output_names(interpreter: Any) -> dict[int, str]:
    """The name of each output in the model's signature, by tensor index; else the tensor's name."""
    names = {entry["index"]: entry["name"] for entry in interpreter.get_output_details()}
    for signature in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(signature)
        details = runner.get_output_details()
        names |= {entry["index"]: name for name, entry in details.items()}
        break
    return names
