"""Classifiers from files, each run by its own program: Keras, a session, LiteRT, ONNX Runtime."""

import importlib
from pathlib import Path
from typing import Protocol

import numpy as np

from kd_keras.exports.metadata import Metadata
from kd_keras.exports.runtimes.scores import Scores

# File endings, and the module of this package that runs such files. A folder is a SavedModel.
_MODULES = {
    ".keras": "run_keras_file",
    ".h5": "run_keras_file",
    ".hdf5": "run_keras_file",
    ".tflite": "run_litert",
    ".onnx": "run_onnx",
}


class Classifier(Protocol):
    """A classifier that is ready to run.

    Attributes:
        path: its file or folder.
        format: "keras", "savedmodel", "litert" or "onnx".
        metadata: what its file says about class names, image shape and resizing. The image shape
            is None if the model takes images of any size.
    """

    path: Path
    format: str
    metadata: Metadata

    def __call__(self, images: np.ndarray) -> Scores:
        """The scores of images, uint8 (B, H, W, C) in 0..255, B at least 1."""


def open_classifier(
    path: str | Path, *, preprocess: str | None = None, multi_label: bool = False
) -> Classifier:
    """Opens a `.keras`, `.h5`, `.tflite` or `.onnx` file, or a SavedModel folder.

    Args:
        path: the file or folder.
        preprocess: pixel values that the model expects, see `models.preprocessing`; None: 0..255.
        multi_label: whether an image may have several classes, where the file does not say it.

    Raises:
        FileNotFoundError: there is nothing at `path`.
        ValueError: the file is of an unknown kind, damaged, or no image classifier; or the program
            that runs it is not installed.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"no model at {path}; expected a file or folder. Check the path.")
    if path.is_dir():
        name = "run_saved_model"
    elif path.suffix.lower() in _MODULES:
        name = _MODULES[path.suffix.lower()]
    else:
        raise ValueError(
            f"{path} ends in {path.suffix or 'no suffix'!r}; expected {', '.join(_MODULES)} or a "
            "SavedModel folder."
        )
    module = importlib.import_module(f"kd_keras.exports.runtimes.{name}")
    classifier: Classifier = module.open_file(path, preprocess, multi_label)
    return classifier
