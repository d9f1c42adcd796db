"""Exports the student as a SavedModel, which serves pixels and image files, and as `.keras`.

An earlier export stays until the new one is complete and has passed its check.
"""

import contextlib
import re
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kd_keras import check, files
from kd_keras.data.images import resizing
from kd_keras.exports import classifier_graph, metadata, signatures
from kd_keras.exports.process import Serve, fresh_process
from kd_keras.graph import finite, heads, taps

HEADS = ("logits", "probabilities", "sigmoids")
# Largest allowed difference of logits, relative to the largest logit; typical: 1e-6.
TOLERANCE = 1e-3


def saved_model(
    student: keras.Model,
    folder: str | Path,
    *,
    class_names: Sequence[str] | None,
    input_shape: tuple[int, int, int] | None = None,
    head: str | None = None,
    resize: str = "squash",
    images: np.ndarray | None = None,
    multi_label: bool = False,
    serve: Serve | None = None,
) -> float:
    """Writes the student, and nothing else, as a SavedModel, and checks it in a fresh process.

    `serving_default` takes `images`, uint8 (B, H, W, C); `serve_bytes` takes `image_bytes`, (B,)
    strings, each an image file of any size, which is turned upright by its EXIF orientation.
    Both return `probabilities` and `logits`, float32 (B, classes). The asset `class_names.txt` has
    one line per class, in the order of the classes; `kd_keras.json` holds the `Metadata`.

    Args:
        student: model from pixels 0..255 (B, H, W, C) float32 to (B, classes), or to a dict of
            "logits" and taps, of which the logits are exported.
        folder: folder of the export; an earlier export stays until the new one has passed.
        class_names: one name per class; None writes none.
        input_shape: (H, W, C), for a student whose own input shape is open.
        head: what the student returns: "logits", "probabilities", or, with `multi_label`,
            "sigmoids"; by default what `heads.output_type` returns. The logits of probabilities
            are the numbers before the last softmax or sigmoid; where it is not a layer at the
            model's end, they are computed from the probabilities.
        resize: how `serve_bytes` resizes images to the student's size: "crop", "pad" or "squash"
            (see `data.images.resizing`). Use the same as in training. The default "squash"
            takes the whole image and ignores its aspect ratio; images of the student's size
            do not change.
        images: uint8 (N, H, W, C) images for the check; by default four images of noise.
        multi_label: whether an image may have several classes: `probabilities` are then those of
            the classes' sigmoids.
        serve: from a `fresh_process` that had time to start; by default, one is started now.

    Returns:
        The largest absolute difference between the logits of this process and those of the fresh
        process's session for `images`, and for the first images as files.

    Raises:
        ValueError: class names, shape, head or resize do not fit, weights are not finite, or the
            fresh process cannot serve the SavedModel.
        OSError: the files cannot be written. After any error, an earlier export is unchanged.
    """
    finite.require(student)
    shape = _image_shape(student, input_shape)
    if head is None:
        head = heads.output_type(student, multi_label=multi_label)
    else:
        check.one_of("head", head, HEADS)
    check.one_of("resize", resize, resizing.RESIZES)
    model, head = classifier_graph.before_activation(student, head)
    answer = signatures.answer(model, head=head, multi_label=multi_label)
    if images is None:
        images = np.random.default_rng(0).integers(0, 256, (4, *shape), dtype=np.uint8)
    with contextlib.ExitStack() as stack:
        serve = serve or stack.enter_context(fresh_process())
        new_folder = stack.enter_context(files.atomic_write(Path(folder)))
        with tf.device("CPU:0"):  # as in the fresh process
            batches = [answer(tf.constant(images[i : i + 32])) for i in range(0, len(images), 32)]
        keras_logits = np.concatenate([batch["logits"] for batch in batches])
        if class_names is not None:
            _check_class_names(class_names, keras_logits.shape[-1])
        names = None if class_names is None else tuple(class_names)
        size = (shape[0], shape[1], shape[2])
        file_metadata = metadata.Metadata(names, size, resize, multi_label)
        _write(signatures.module(model, answer, shape, resize=resize), new_folder, file_metadata)
        difference = _difference(serve(new_folder, images), keras_logits)
        allowed_difference = TOLERANCE * max(1.0, float(np.abs(keras_logits).max()))
        if not difference <= allowed_difference:
            raise ValueError(
                f"The exported student's logits differ by {difference:g} from the student's; "
                f"expected at most {allowed_difference:g}. Look for layers whose output changes "
                "between calls."
            )
    return difference


def verify(folder: str | Path, images: np.ndarray, expected_logits: Any) -> float:
    """Largest absolute difference between the given logits and those that `folder` serves.

    A fresh process restores the SavedModel into a session, as TensorFlow Serving does. It gets the
    images as pixels, and the first ones as files.

    Args:
        folder: folder of an export by `saved_model`.
        images: uint8 (N, H, W, C).
        expected_logits: (N, classes) float32, or a student's dict that holds them as "logits".

    Raises:
        ValueError: the fresh process cannot load or serve the SavedModel.
    """
    keras_logits = np.asarray(taps.logits_of(expected_logits))
    with fresh_process() as serve:
        return _difference(serve(Path(folder), images), keras_logits)


def _difference(served_scores: tuple[np.ndarray, np.ndarray], keras_logits: np.ndarray) -> float:
    logits_of_pixels, logits_of_files = served_scores
    pairs = (
        (logits_of_pixels, keras_logits),
        (logits_of_files, keras_logits[: len(logits_of_files)]),
    )
    for logits, reference in pairs:
        if logits.shape != reference.shape:
            raise ValueError(
                f"The SavedModel gives logits of shape {logits.shape}; expected {reference.shape}. "
                "Pass the logits of the same images and student."
            )
    # NumPy's maximum is NaN if one is; Python's is not.
    return float(np.max([np.abs(logits - reference).max() for logits, reference in pairs]))


def keras_file(model: keras.Model, path: str | Path) -> None:
    """Saves a `.keras` file that plain Keras loads; an earlier file stays until it is complete.

    Args:
        model: the model, built.
        path: the file, with the ending .keras.

    Raises:
        ValueError: `path` does not end in .keras, the model holds classes of this package, or
            weights that are not finite.
        OSError: the file cannot be written.
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise ValueError(f"The path is {str(path)!r}; expected a path that ends in .keras.")
    finite.require(model)
    with files.atomic_write(path) as new_path:
        model.save(new_path)
        with zipfile.ZipFile(new_path) as archive:
            config = archive.read("config.json").decode()
        if own_class := re.search(r'"(?:module|registered_name)": "(kd_keras[^"]*)"', config):
            raise ValueError(
                f"{model.name} holds a class of {own_class[1]}; expected classes of plain Keras, "
                "which load anywhere. Save the student that the Distiller trained: "
                "distiller.student."
            )


def megabytes(path: str | Path) -> float:
    """Size of a file, or of all files in a folder, in 10^6 bytes."""
    return files.size(path) / 1e6


def _image_shape(student: keras.Model, shape: tuple[int, int, int] | None) -> tuple[int, ...]:
    declared_shape = tuple(getattr(student, "input_shape", (None,) * 4)[1:])
    sizes = tuple(shape or declared_shape)
    if not len(declared_shape) == len(sizes) == 3 or not all(
        isinstance(size, int) and size > 0 and declared_size in (None, size)
        for declared_size, size in zip(declared_shape, sizes, strict=True)
    ):
        raise ValueError(
            f"input_shape is {shape} and the student takes {declared_shape}; expected (height, "
            "width, channels) in whole numbers that fit the student. Pass input_shape=(H, W, C)."
        )
    return sizes


def _check_class_names(class_names: Sequence[str], num_classes: int) -> None:
    if len(class_names) != num_classes:
        raise ValueError(
            f"class_names has {len(class_names)} names; expected {num_classes}, one for each "
            "output of the student."
        )
    if invalid_names := [name for name in class_names if len(name.splitlines()) != 1]:
        raise ValueError(
            f"class_names holds {invalid_names[0]!r}; expected names of one line each."
        )


def _write(root: tf.Module, folder: Path, file_metadata: metadata.Metadata) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        root.kd_keras_assets = []
        for name, text in metadata.assets(file_metadata).items():
            Path(scratch, name).write_text(text, encoding="utf-8")
            root.kd_keras_assets.append(tf.saved_model.Asset(str(Path(scratch, name))))
        functions_by_name = {"serving_default": root.serve, "serve_bytes": root.serve_bytes}
        signatures.save(root, str(folder), functions_by_name)
