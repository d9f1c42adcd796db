"""Classifiers from SavedModel folders, run in a session as TensorFlow Serving does."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kd_keras.exports import metadata, silence
from kd_keras.exports.runtimes import scores
from kd_keras.models import preprocessing

_SIGNATURES = ("serving_default", "serve")


class SavedModel:
    """A SavedModel as a `runtimes.Classifier`; see `runtimes.open_classifier`."""

    format = "savedmodel"

    def __init__(self, path: Path, preprocess: str | None, *, multi_label: bool = False) -> None:
        self.path = path
        self._mode = preprocess or "0..255"
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        signature = _signature(path, self._session)
        (entry,) = signature.inputs.values()
        self._input = entry.name
        self._dtype = tf.as_dtype(entry.dtype).as_numpy_dtype
        self._outputs = {name: tensor.name for name, tensor in signature.outputs.items()}
        _, *sizes = (dimension.size for dimension in entry.tensor_shape.dim)
        shape = (sizes[0], sizes[1], sizes[2]) if min(sizes) > 0 else None
        self.metadata = metadata.read_saved_model(path).filled_from(
            metadata.Metadata(image_shape=shape, multi_label=multi_label)
        )

    def __call__(self, images: np.ndarray) -> scores.Scores:
        batch = preprocessing.encode_array(images, self._mode)
        if np.issubdtype(self._dtype, np.integer):
            batch = np.round(batch)
        outputs = self._session.run(self._outputs, {self._input: batch.astype(self._dtype)})
        return scores.from_outputs(outputs, multi_label=self.metadata.multi_label)


def open_file(path: Path, preprocess: str | None, multi_label: bool) -> SavedModel:
    """See `runtimes.open_classifier`."""
    return SavedModel(path, preprocess, multi_label=multi_label)


def _signature(path: Path, session: Any) -> Any:
    """The signature for images of a SavedModel, which is restored into the session."""
    if not (path / "saved_model.pb").is_file():
        raise ValueError(
            f"{path} is a folder without saved_model.pb; expected a SavedModel or a run folder. "
            "Check the path."
        )
    try:
        with silence.silent(), session.graph.as_default():  # it logs a deprecation
            meta_graph = tf.compat.v1.saved_model.load(session, ["serve"], str(path))
    except Exception as error:  # TensorFlow raises many kinds
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"{path} cannot be opened as a SavedModel ({reason}); expected a whole one. Copy or "
            "export it again."
        ) from error
    for name in _SIGNATURES:
        signature = meta_graph.signature_def.get(name)
        if signature is not None and _takes_images(signature):
            return signature
    names = ", ".join(sorted(meta_graph.signature_def)) or "none"
    raise ValueError(
        f"{path} has the signatures {names}; expected {' or '.join(_SIGNATURES)} with one batch of "
        "images, (None, height, width, channels). Export it with such a signature."
    )


def _takes_images(signature: Any) -> bool:
    return len(signature.inputs) == 1 and all(
        len(entry.tensor_shape.dim) == 4 for entry in signature.inputs.values()
    )
