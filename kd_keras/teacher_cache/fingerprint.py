"""What a cache can be made of, named by its content: Keras models, and ONNX files of any origin."""

import contextlib
import hashlib
import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kd_keras import files
from kd_keras.distill.teacher import Teacher
from kd_keras.graph import architecture
from kd_keras.models import adapt, pixels
from kd_keras.teacher_cache.writer import Ask

#: Stands before what is hashed. A change of the rules changes it, so that no file that was named by
#: the rules before is taken for another model's.
FINGERPRINT = b"kd_keras fingerprint 2"


def keras_ask(model: keras.Model, names: Sequence[str], *, precision: str) -> Ask:
    """The model's logits and the taps `names`, in inference mode, as a compiled function."""
    teacher = Teacher(model, names, precision=precision)

    @tf.function(reduce_retracing=True)
    def run(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return teacher(tf.cast(images, "float32"))

    return lambda images: {name: value.numpy() for name, value in run(images).items()}


def fingerprint(model: keras.Model) -> str:
    """16 hex digits of a model's weights and layers; the names that Keras gives do not count."""
    total = hashlib.sha256(FINGERPRINT)
    config = architecture.of_config(model.get_config())
    total.update(json.dumps(config, default=_as_text, sort_keys=True).encode())
    for part in dict.fromkeys([model, *model._flatten_layers()]):
        if isinstance(part, keras.layers.TFSMLayer):  # its file is more than its variables
            total.update(files.sha256(Path(part.filepath)).encode())
        total.update(_source(type(part)).encode())
    for weight in model.weights:
        value = np.ascontiguousarray(weight)
        total.update(f"{value.dtype}{value.shape}".encode())
        total.update(value.data)
    return total.hexdigest()[:16]


def _as_text(value: Any) -> str:
    """A value that JSON has no form for; of an array all of it, which str() shortens."""
    if isinstance(value, np.ndarray) or keras.ops.is_tensor(value):
        array = np.ascontiguousarray(value)
        return f"{array.dtype} {array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"
    return str(value)


def _source(layer: type) -> str:
    """The source text of a layer that a person wrote: its configuration does not tell what it does.

    Empty where there is none to read, and of what Keras and this package bring.
    """
    if layer.__module__.partition(".")[0] in ("keras", "kd_keras"):
        return ""
    with contextlib.suppress(OSError, TypeError):
        return inspect.getsource(layer)
    return ""


class OnnxTeacher:
    """An ONNX classifier of images, run by onnxruntime on the CPU.

    Args:
        path: of the file; one float32 image input, (B, H, W, C) or (B, C, H, W), B fixed or not,
            and scores (B, C) as its first output, logits before any softmax.
        preprocess: the pixels it expects, one of `pixels.MODES`; None for 0..255.
        image_size: height and width that images are resized to; None takes the graph's own.
        classes: (its class names in its order, ours in ours).

    Raises:
        ValueError: no image classifier, or onnxruntime is not installed.
        FileNotFoundError: no such file.
    """

    def __init__(
        self,
        path: Path,
        *,
        preprocess: str | None = None,
        image_size: int | None = None,
        classes: tuple[list[str], list[str]] | None = None,
    ):
        try:
            import onnxruntime
        except ImportError as error:
            raise ValueError(
                f"{path} is an ONNX file, and onnxruntime is not installed ({error}). "
                "Run pip install 'kd-keras[onnx]'."
            ) from error
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} does not exist; expected an ONNX file. Check --teacher."
            )
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's own kinds are not importable by name
            raise ValueError(
                f"{path} cannot be opened as an ONNX model: {_in_a_line(error)}. Export it again, "
                "with the file of its weights beside it if it has one."
            ) from error
        inputs = self._session.get_inputs()
        shape = inputs[0].shape
        images = len(inputs) == 1 and len(shape) == 4 and {shape[1], shape[3]} & {1, 3}
        if not images or inputs[0].type != "tensor(float)":
            raise ValueError(
                f"{path} takes {[(i.name, i.type, i.shape) for i in inputs]}; expected images "
                "alone, tensor(float), (B, H, W, C) or (B, C, H, W) with C 1 or 3. Export it so."
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

    @property
    def fingerprint(self) -> str:
        """16 hex digits of the file and of what stands before and behind it."""
        graph = self._path.read_bytes()
        total = hashlib.sha256(graph)
        for file in _files_of_weights(self._path, graph):
            total.update(file.read_bytes())
        total.update(repr((self._mode, self._size, self._classes)).encode())
        return total.hexdigest()[:16]

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Logits (B, C) float32 of images (B, H, W, C) uint8."""
        if self._size is not None and images.shape[1:3] != (self._size, self._size):
            images = tf.image.resize(images, (self._size, self._size)).numpy()
        if (images.shape[-1], self._channels) == (1, 3):
            images = np.repeat(images, 3, axis=-1)
        x = pixels.encode_array(images, self._mode).astype(np.float32)
        if self._channels_first:
            x = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
        scores = self._scores(x)
        if scores.ndim != 2 or len(scores) != len(images):
            raise ValueError(
                f"{self._path} gives scores of shape {scores.shape} for {len(images)} images; "
                "expected (B, classes)."
            )
        if self._classes is not None:
            scores = scores[:, adapt.class_order(*self._classes, scores.shape[-1])]
        return {"logits": scores}

    def _scores(self, x: np.ndarray) -> np.ndarray:
        """What the graph says of all images, so many at a time as it takes."""
        size = self._batch or len(x)
        padded = np.concatenate([x, np.repeat(x[-1:], -len(x) % size, axis=0)])
        try:
            found = [
                self._session.run(None, {self._input: padded[start : start + size]})[0]
                for start in range(0, len(padded), size)
            ]
        except Exception as error:  # as above
            raise ValueError(
                f"{self._path} does not take images {x.shape[1:]}: {_in_a_line(error)}. Check "
                "--teacher-image-size and how it was exported."
            ) from error
        return np.concatenate(found)[: len(x)]


def _files_of_weights(path: Path, graph: bytes) -> list[Path]:
    """Files beside an ONNX file that hold its large tensors, as newer PyTorch exports them."""
    # An entry of a tensor's external_data: field 1 is the key "location", field 2 a file's name.
    entries = graph.split(b"\x0a\x08location\x12")[1:]
    names = {entry[1 : 1 + entry[0]].decode(errors="replace") for entry in entries}
    return [path.parent / name for name in sorted(names) if (path.parent / name).is_file()]


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
