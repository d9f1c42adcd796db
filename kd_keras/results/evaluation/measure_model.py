"""Measures a classifier: accuracy on a split, size, time; and exports it."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kd_keras import losses
from kd_keras.data import cache_folder
from kd_keras.data.stores import hashed_arrays
from kd_keras.data.stores.store import Dataset, Split
from kd_keras.exports import saved_model
from kd_keras.graph import heads, taps, twins
from kd_keras.models import cost
from kd_keras.results.metrics import multi_label, timing
from kd_keras.teacher_cache import fingerprint, keras_teacher

BATCH = 256  # changes memory use, not accuracy
EXPORT_IMAGES = 100  # images to compare before and after export


def predictor(model: keras.Model) -> Callable[[np.ndarray], tf.Tensor]:
    """The model as a compiled function from images (B, H, W, C) to scores (B, C), float32."""

    signature = [tf.TensorSpec((None, *model.inputs[0].shape[1:]))]

    @tf.function(input_signature=signature)
    def predict(images: tf.Tensor) -> tf.Tensor:
        return taps.logits_of(model(images, training=False))

    compiled_predict: Callable[[np.ndarray], tf.Tensor] = predict
    return compiled_predict


def scores(model: keras.Model, split: Split) -> np.ndarray:
    """(N, C) float32 logits of all examples of the split, in order; batch norms are folded.

    Those of a model that ends in a softmax are the sums before it, as in its training.

    Args:
        model: the classifier, built.
        split: examples; labels are not read.

    Raises:
        ValueError: some scores are not finite.
    """
    return scorer(model)(split)


def scorer(model: keras.Model) -> Callable[[Split], np.ndarray]:
    """A function from a split to what `scores` gives, compiled once.

    It reads the model's weights at each call, so one is enough for a whole training.
    """
    twin = twins.Twin(model, folded=True, before_softmax=True)

    @tf.function(input_signature=[tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.uint8)])
    def score(images: tf.Tensor) -> tf.Tensor:
        outputs, _ = twin(tf.cast(images, "float32"), training=False)
        return outputs[taps.LOGITS]

    # Traced once for each model. Calls of the tf.function itself would warn after a few models: to
    # TensorFlow they are one function that is traced too often.
    traced_score = score.get_concrete_function()
    return lambda split: _all_scores(
        lambda images: traced_score(tf.convert_to_tensor(images)), model.name, split
    )


def teachers_scores(model: keras.Model, data: Dataset) -> np.ndarray:
    """(N, C) float32 logits of the validation split, computed in float32 like all scores.

    They are stored beside the datasets, since many runs use one teacher. The file's name depends
    on the model's weights and layers, and on the data.

    Args:
        model: the teacher.
        data: the dataset; its fingerprint and validation split count.
    """
    precision = "float32"
    name = f"{fingerprint.fingerprint(model)}-{data.fingerprint}-{precision}.npy"
    file = cache_folder() / "scores" / name
    with contextlib.suppress(OSError, ValueError, EOFError):  # missing or damaged: compute them
        stored_scores = hashed_arrays.load(file)
        if stored_scores.shape == (len(data.validation), len(data.class_names)):
            return stored_scores
    run_teacher = keras_teacher.teacher_function(
        model, (), precision=precision, multi_label=data.validation.multi_label
    )
    new_scores = _all_scores(
        lambda images: run_teacher(images)[taps.LOGITS], model.name, data.validation
    )
    with contextlib.suppress(OSError):  # a full disk stores none
        hashed_arrays.save(file, new_scores)
    return new_scores


def _all_scores(predict: Callable[[np.ndarray], Any], name: str, split: Split) -> np.ndarray:
    num_images = len(split)
    batches = np.array_split(np.arange(num_images), -(-num_images // BATCH))
    all_scores = np.concatenate([predict(split.images_at(rows)) for rows in batches])
    if not np.isfinite(all_scores).all():
        raise ValueError(
            f"model {name!r} gives scores that are NaN or infinite; expected finite ones. "
            "Train it again with a lower learning rate, or give another file."
        )
    return all_scores


def accuracy(all_scores: np.ndarray, labels: np.ndarray, *, k: int = 1) -> float:
    """Share, 0 to 1, of the examples whose label is among the k classes with the highest scores.

    Args:
        all_scores: (N, C) float.
        labels: (N,) int.
        k: number of classes that count, >= 1.
    """
    return float(np.mean(losses.in_top(labels, all_scores, k=k)))


def measure_scores(all_scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """`top1` and `top5`, 0 to 1; of labels (N, C), see `multi_label.measure`.

    Args:
        all_scores: (N, C) float.
        labels: (N,) int, or (N, C) of 0 and 1.
    """
    if labels.ndim == 2:
        return multi_label.measure(labels, all_scores)
    return {"top1": accuracy(all_scores, labels), "top5": accuracy(all_scores, labels, k=5)}


def measure(
    model: keras.Model,
    data: Dataset,
    folder: Path | None,
    validation_scores: np.ndarray,
    serve: saved_model.Serve | None = None,
) -> dict[str, Any]:
    """The model's entry in results.json, without times; exports it to `folder`.

    Args:
        model: classifier to measure.
        data: dataset with the class names and the validation split.
        folder: folder for the SavedModel; None exports nothing.
        validation_scores: (N, C) scores of the validation split, from `scores`.
        serve: see `saved_model.saved_model`.
    """
    validation = data.validation
    images = validation.images_at(np.arange(min(EXPORT_IMAGES, len(validation))))
    export_entry = {} if folder is None else _export(model, data, folder, images, serve)
    return {
        **measure_scores(validation_scores, validation.labels),
        "parameters": model.count_params(),
        "multiply_adds": _multiply_adds(model),
        **export_entry,
    }


def milliseconds(model: keras.Model, data: Dataset) -> dict[str, Any]:
    """The model's time for validation images, see `timing.latency`.

    Args:
        model: the classifier.
        data: the dataset; its validation images are timed.
    """
    validation = data.validation
    images = validation.images_at(np.arange(min(EXPORT_IMAGES, len(validation))))

    def batch(num_images: int) -> np.ndarray:
        return np.resize(images, (num_images, *data.image_shape)).astype("float32")

    return timing.latency(predictor(model), batch)


def _multiply_adds(model: keras.Model) -> int | None:
    """Of one image; None where a layer's cost is unknown."""
    try:
        return cost.macs(model)
    except ValueError:
        return None


def _export(
    model: keras.Model,
    data: Dataset,
    folder: Path,
    images: np.ndarray,
    serve: saved_model.Serve | None,
) -> dict[str, Any]:
    difference = saved_model.saved_model(
        model,
        folder,
        class_names=data.class_names,
        input_shape=data.image_shape,
        head=heads.output_type(model, multi_label=data.validation.multi_label),
        resize=data.resize,
        images=images,
        multi_label=data.validation.multi_label,
        serve=serve,
    )
    size = saved_model.megabytes(folder)
    return {"export": {"path": str(folder), "max_abs_difference": difference, "megabytes": size}}
