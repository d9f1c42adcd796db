"""The exported files: the student as a SavedModel that serves pixels and files, and as `.keras`.

An earlier export stays until the new one is whole and has passed its check.
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
from kd_keras.data import resizing
from kd_keras.exports import signatures
from kd_keras.exports.process import Serve, fresh_process
from kd_keras.graph import heads, taps

HEADS = ("logits", "probabilities")
# Largest difference of logits that passes, relative to the largest logit; seen: 1e-6.
TOLERANCE = 1e-3


def saved_model(
    student: keras.Model,
    folder: str | Path,
    *,
    class_names: Sequence[str],
    input_shape: tuple[int, int, int] | None = None,
    head: str | None = None,
    resize: str = "squash",
    images: np.ndarray | None = None,
    serve: Serve | None = None,
) -> float:
    """Writes the student, and nothing else, as a SavedModel, and checks it in a fresh process.

    `serving_default` takes `images`, uint8 (B, H, W, C); `serve_bytes` takes `image_bytes`, (B,)
    strings, each an image file of any size, which is turned upright as its EXIF orientation says.
    Both give `probabilities` and `logits`, float32 (B, classes). The asset `class_names.txt` has a
    line for each class, in the classes' order.

    Args:
        student: pixels 0..255 (B, H, W, C) float32 in, (B, classes) out, or a dict of "logits"
            and taps, of which the logits are exported.
        folder: where it goes; an export already there stays until the new one has passed.
        class_names: one a class.
        input_shape: (H, W, C), for a student that leaves its own open.
        head: what the student gives: "logits", or "probabilities" (`logits` is then their log);
            by default what `heads.kind` says of it.
        resize: how `serve_bytes` brings images to the student's size: "crop", "pad" or "squash"
            (see `data.resizing`). Give what training used; by default "squash", the whole image
            without regard to its aspect, which changes nothing for images of the student's size.
        images: uint8 (N, H, W, C) to check with; without them four images of noise.
        serve: of a `fresh_process` that has had time to start; by default of one started now.

    Returns:
        The largest absolute difference between this process's logits and those that the fresh
        one's session gives for `images`, the first ones also as files.

    Raises:
        ValueError: class names, shape, head or resize do not fit, or the fresh process cannot serve
            it.
        OSError: it could not be written. After either, an earlier export is as it was.
    """
    shape = _image_shape(student, input_shape)
    head = heads.kind(student) if head is None else check.one_of("head", head, HEADS)
    check.one_of("resize", resize, resizing.RESIZES)
    answer = signatures.answer(student, head=head)
    if images is None:
        images = np.random.default_rng(0).integers(0, 256, (4, *shape), dtype=np.uint8)
    with contextlib.ExitStack() as stack:
        serve = serve or stack.enter_context(fresh_process())
        fresh = stack.enter_context(files.in_place_of(Path(folder)))
        with tf.device("CPU:0"):  # where the fresh process computes
            batches = [answer(tf.constant(images[i : i + 32])) for i in range(0, len(images), 32)]
        expected = np.concatenate([batch["logits"] for batch in batches])
        _check_class_names(class_names, expected.shape[-1])
        _write(signatures.module(student, answer, shape, resize=resize), fresh, class_names)
        difference = _difference(serve(fresh, images), expected)
        allowed = TOLERANCE * max(1.0, float(np.abs(expected).max()))
        if not difference <= allowed:
            raise ValueError(
                f"The exported student's logits differ by {difference:g} from the student's; "
                f"expected at most {allowed:g}. Look for layers whose output changes by itself."
            )
    return difference


def verify(folder: str | Path, images: np.ndarray, expected_logits: Any) -> float:
    """Largest absolute difference of logits once a fresh process loads and serves `folder`.

    It restores the SavedModel into a session, as TensorFlow Serving does, and sends it the images
    as pixels and the first ones as files.

    Args:
        folder: a SavedModel of `saved_model`.
        images: uint8 (N, H, W, C).
        expected_logits: (N, classes) float32, or a student's dict that holds them as "logits".

    Raises:
        ValueError: the fresh process could not load or serve it.
    """
    expected = np.asarray(taps.logits_of(expected_logits))
    with fresh_process() as serve:
        return _difference(serve(Path(folder), images), expected)


def _difference(served: tuple[np.ndarray, np.ndarray], expected: np.ndarray) -> float:
    by_pixels, by_files = served
    if by_pixels.shape != expected.shape:
        raise ValueError(
            f"The SavedModel gives logits {by_pixels.shape}; expected {expected.shape}. "
            "Pass the logits of the same images and student."
        )
    pairs = ((by_pixels, expected), (by_files, expected[: len(by_files)]))
    return max(float(np.abs(logits - right).max()) for logits, right in pairs)


def keras_file(model: keras.Model, path: str | Path) -> None:
    """Saves a `.keras` that plain Keras loads; one already there stays until the new one is whole.

    Raises:
        ValueError: `path` does not end in .keras, or the model holds classes of this package.
        OSError: it could not be written.
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise ValueError(f"The path is {str(path)!r}; expected one that ends in .keras.")
    with files.in_place_of(path) as fresh:
        model.save(fresh)
        with zipfile.ZipFile(fresh) as archive:
            config = archive.read("config.json").decode()
        if own := re.search(r'"(?:module|registered_name)": "(kd_keras[^"]*)"', config):
            raise ValueError(
                f"{model.name} holds a class of {own[1]}; expected plain Keras, which loads "
                "anywhere. Save the student that the Distiller trained: distiller.student."
            )


def megabytes(path: str | Path) -> float:
    """Size of a file, or of all files in a folder, in 10^6 bytes."""
    path = Path(path)
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6


def _image_shape(student: keras.Model, given: tuple[int, int, int] | None) -> tuple[int, ...]:
    own = tuple(getattr(student, "input_shape", (None,) * 4)[1:])
    shape = tuple(given or own)
    if not len(own) == len(shape) == 3 or not all(
        isinstance(side, int) and side > 0 and mine in (None, side)
        for mine, side in zip(own, shape, strict=True)
    ):
        raise ValueError(
            f"input_shape is {given} and the student takes {own}; expected (height, width, "
            "channels) in whole numbers that fit the student. Pass input_shape=(H, W, C)."
        )
    return shape


def _check_class_names(class_names: Sequence[str], num_classes: int) -> None:
    if len(class_names) != num_classes:
        raise ValueError(
            f"class_names has {len(class_names)} names; expected {num_classes}, one for each of "
            "the student's outputs."
        )
    if broken := [name for name in class_names if len(name.splitlines()) != 1]:
        raise ValueError(f"class_names holds {broken[0]!r}; expected names of one line each.")


def _write(root: tf.Module, folder: Path, class_names: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        names = Path(scratch, "class_names.txt")
        names.write_text("".join(f"{name}\n" for name in class_names), encoding="utf-8")
        root.class_names = tf.saved_model.Asset(str(names))
        served = {"serving_default": root.serve, "serve_bytes": root.serve_bytes}
        try:
            tf.saved_model.save(root, str(folder), signatures=served)
        except tf.errors.OpError as error:  # how TensorFlow reports a full disk
            raise OSError(error.message.split("; ")[-1].split(" [Op:")[0]) from error
