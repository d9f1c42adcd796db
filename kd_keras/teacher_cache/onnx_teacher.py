"""A teacher from an ONNX file of any origin, run by onnxruntime."""

import hashlib
from pathlib import Path

import numpy as np
import tensorflow as tf

from kd_keras import losses
from kd_keras.graph import probability_rows
from kd_keras.models import class_matching, onnx_session, preprocessing


class OnnxTeacher:
    """An ONNX image classifier, run by onnxruntime on the CPU.

    Args:
        path: the ONNX file. Its one input is float32 images, (B, H, W, C) or (B, C, H, W), B fixed
            or open; its first output is (B, C) logits or probabilities.
        preprocess: pixel range that the file expects, of `preprocessing.MODES`; None means 0..255.
        image_size: height and width to resize images to; None takes the size in the file.
        classes: (class names in the file's order, class names in the dataset's order).

    Raises:
        ValueError: the file is not an image classifier, or onnxruntime is not installed.
        FileNotFoundError: the file does not exist.
    """

    def __init__(
        self,
        path: Path,
        *,
        preprocess: str | None = None,
        image_size: int | None = None,
        classes: tuple[list[str], list[str]] | None = None,
        multi_label: bool = False,
    ):
        require_file(path)
        self._session = onnx_session.open_session(path)
        inputs = self._session.get_inputs()
        shape = inputs[0].shape
        takes_images = len(inputs) == 1 and len(shape) == 4 and {shape[1], shape[3]} & {1, 3}
        if not takes_images or inputs[0].type != "tensor(float)":
            raise ValueError(
                f"{path} has the inputs {[(i.name, i.type, i.shape) for i in inputs]}; expected "
                "one input of images, tensor(float), (B, H, W, C) or (B, C, H, W), C 1 or 3. "
                "Export the model with such an input."
            )
        self._channels_first = shape[3] not in (1, 3)
        self._channels = shape[1] if self._channels_first else shape[3]
        self._batch = shape[0] if isinstance(shape[0], int) else None
        height = shape[2] if self._channels_first else shape[1]
        self._size = image_size or (height if isinstance(height, int) else None)
        self._input = inputs[0].name
        self._mode = preprocess or "0..255"
        self._classes = classes
        self._path = path
        self._multi_label = multi_label
        self._gives_probabilities: bool | None = None  # known with the first batch

    @property
    def fingerprint(self) -> str:
        """16 hex digits that depend on the file, its weights, the pixels and the class order."""
        graph = self._path.read_bytes()
        total = hashlib.sha256(graph)
        for file in _weight_files(self._path, graph):
            total.update(file.read_bytes())
        output_kind = "logits of sigmoids" if self._multi_label else "logits"
        total.update(repr((self._mode, self._size, self._classes, output_kind)).encode())
        return total.hexdigest()[:16]

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """{"logits": (B, C) float32} for images (B, H, W, C) uint8.

        Of a file that ends in a softmax, these are the logarithms of the probabilities; of one that
        ends in sigmoids, their inputs.
        """
        scores = self.outputs(images)
        if self._gives_probabilities is None:
            rows = probability_rows
            are_probabilities = rows.in_range if self._multi_label else rows.are_probabilities
            self._gives_probabilities = are_probabilities(scores)
        if self._gives_probabilities and self._multi_label:
            p = np.clip(scores, losses.FLOAT32_TINY, np.float32(1 - 2**-24))
            scores = np.log(p) - np.log(1 - p)
        elif self._gives_probabilities:
            scores = np.log(np.maximum(scores, losses.FLOAT32_TINY))
        if self._classes is not None:
            scores = scores[:, class_matching.class_order(*self._classes, scores.shape[-1])]
        return {"logits": scores}

    def outputs(self, images: np.ndarray) -> np.ndarray:
        """(B, D) float32, what the file gives for images (B, H, W, C) uint8."""
        if self._size is not None and images.shape[1:3] != (self._size, self._size):
            images = tf.image.resize(images, (self._size, self._size)).numpy()
        if (images.shape[-1], self._channels) == (1, 3):
            images = np.repeat(images, 3, axis=-1)
        x = preprocessing.encode_array(images, self._mode).astype(np.float32)
        if self._channels_first:
            x = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
        rows = self._first_output(x)
        if rows.ndim != 2 or len(rows) != len(images):
            raise ValueError(
                f"{self._path} gives outputs of shape {rows.shape} for {len(images)} images; "
                f"expected a row for each, ({len(images)}, classes) or the numbers of an "
                "embedding. Export these as the first output."
            )
        return rows.astype(np.float32)  # in float16, the logarithm of a small probability is -inf

    def _first_output(self, x: np.ndarray) -> np.ndarray:
        """The first output for all images, run in batches of the size that the file fixes."""
        size = self._batch or len(x)
        padded_batch = np.concatenate([x, np.repeat(x[-1:], -len(x) % size, axis=0)])
        try:
            batches = [
                self._session.run(None, {self._input: padded_batch[start : start + size]})[0]
                for start in range(0, len(padded_batch), size)
            ]
        except Exception as error:  # see __init__
            raise ValueError(
                f"{self._path} does not take images {x.shape[1:]}: {_in_a_line(error)}. Check "
                "--teacher-image-size and the input shape of the export."
            ) from error
        return np.concatenate(batches)[: len(x)]


def require_file(path: Path) -> None:
    """Raises FileNotFoundError unless there is a file at `path`."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; expected an ONNX file. Check --teacher.")


def _weight_files(path: Path, graph: bytes) -> list[Path]:
    """The files beside an ONNX file that hold its large tensors, as newer PyTorch writes them."""
    # In the protobuf of a tensor's external_data, field 1 is the key "location" and field 2 the
    # name of the file.
    entries = graph.split(b"\x0a\x08location\x12")[1:]
    names = {_text(entry).decode(errors="replace") for entry in entries}
    return [path.parent / name for name in sorted(names) if (path.parent / name).is_file()]


def _text(entry: bytes) -> bytes:
    """A protobuf's text, which begins with its length: 7 bits a byte, the lowest first."""
    length = 0
    for index, byte in enumerate(entry[:5]):
        length |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return entry[index + 1 : index + 1 + length]
    return b""


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
