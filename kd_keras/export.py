"""What leaves the house: the student as a SavedModel that serves pixels and files, and as `.keras`.

An earlier export stays until the new one is whole and has passed its check.
"""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from kd_keras import atomic, check

HEADS = ("logits", "probabilities")
# float32's smallest normal number: the logarithm of a probability that underflowed stays finite.
SMALLEST_PROBABILITY = float(np.finfo(np.float32).tiny)
# Largest difference of logits that passes, relative to the largest logit; seen: 1e-6.
TOLERANCE = 1e-3

# What serving gets: neither kd_keras nor Keras.
LOAD_AND_SERVE = """
import io, json, sys
import numpy as np
import tensorflow as tf
folder = json.loads(sys.stdin.buffer.readline())
images = np.load(io.BytesIO(sys.stdin.buffer.read()))
serve = tf.saved_model.load(folder).signatures["serving_default"]
parts = [serve(images=tf.constant(images[i : i + 32])) for i in range(0, len(images), 32)]
logits = io.BytesIO()
np.save(logits, np.concatenate([part["logits"].numpy() for part in parts]))
sys.stdout.buffer.write(logits.getvalue())
"""

Outputs = dict[str, tf.Tensor]
Serve = Callable[[Path, np.ndarray], np.ndarray]


def saved_model(
    student: keras.Model,
    folder: str | Path,
    *,
    class_names: Sequence[str],
    input_shape: tuple[int, int, int] | None = None,
    head: str = "logits",
    images: np.ndarray | None = None,
    serve: Serve | None = None,
) -> float:
    """Writes the student, and nothing else, as a SavedModel, and checks it in a fresh process.

    `serving_default` takes `images`, uint8 (B, H, W, C); `serve_bytes` takes `image_bytes`, (B,)
    strings, each a JPEG or PNG of any size. Both give `probabilities` and `logits`, float32
    (B, classes). The asset `class_names.txt` has a line for each class, in the classes' order.

    Args:
        student: pixels 0..255 (B, H, W, C) float32 in, (B, classes) out.
        folder: where it goes; an export already there stays until the new one has passed.
        class_names: one a class.
        input_shape: (H, W, C), for a student that leaves its own open.
        head: what the student gives: "logits", or "probabilities" (`logits` is then their log).
        images: uint8 (N, H, W, C) to check with; without them four images of noise.
        serve: of a `fresh_process` that has had time to start; by default of one started now.

    Returns:
        The largest absolute difference between this process's logits and the fresh one's.

    Raises:
        ValueError: class names, shape or head do not fit, or the fresh process cannot serve it.
        OSError: it could not be written. After either, an earlier export is as it was.
    """
    answer = _answer(student, check.one_of("head", head, HEADS))
    shape = _image_shape(student, input_shape)
    if images is None:
        images = np.random.default_rng(0).integers(0, 256, (4, *shape), dtype=np.uint8)
    with contextlib.ExitStack() as stack:
        serve = serve or stack.enter_context(fresh_process())
        fresh = stack.enter_context(atomic.in_place_of(Path(folder)))
        with tf.device("CPU:0"):  # where the fresh process computes
            batches = [answer(tf.constant(images[i : i + 32])) for i in range(0, len(images), 32)]
        expected = np.concatenate([batch["logits"] for batch in batches])
        _check_class_names(class_names, expected.shape[-1])
        _write(student, answer, fresh, shape, class_names)
        difference = _difference(serve(fresh, images), expected)
        allowed = TOLERANCE * max(1.0, float(np.abs(expected).max()))
        if not difference <= allowed:
            raise ValueError(
                f"The exported student's logits differ by {difference:g} from the student's; "
                f"expected at most {allowed:g}. Look for layers whose output changes by itself."
            )
    return difference


def verify(folder: str | Path, images: np.ndarray, expected_logits: np.ndarray) -> float:
    """Largest absolute difference of logits once a fresh process loads and serves `folder`.

    Args:
        folder: a SavedModel of `saved_model`.
        images: uint8 (N, H, W, C).
        expected_logits: (N, classes) float32.

    Raises:
        ValueError: the fresh process could not load or serve it.
    """
    with fresh_process() as serve:
        return _difference(serve(Path(folder), images), expected_logits)


@contextlib.contextmanager
def fresh_process() -> Iterator[Serve]:
    """A process that imports TensorFlow while this one goes on; yields what it serves, once.

    That takes a SavedModel's folder and uint8 (N, H, W, C) images, gives (N, classes) logits, and
    raises ValueError where the model cannot be loaded or served.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", LOAD_AND_SERVE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # This process may hold all of the accelerator's memory.
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"},
    )

    def serve(folder: Path, images: np.ndarray) -> np.ndarray:
        asked = io.BytesIO()
        asked.write(f"{json.dumps(str(folder))}\n".encode())
        np.save(asked, images)
        logits, errors = process.communicate(asked.getvalue())
        if process.returncode:
            reason = (errors.decode(errors="replace").strip() or "no message").splitlines()[-1]
            raise ValueError(
                f"The SavedModel does not serve in a fresh process: {reason}. Expected a model of "
                "TensorFlow operations alone; replace layers that call Python or read files."
            )
        return np.load(io.BytesIO(logits))

    with process:
        try:
            yield serve
        finally:
            process.kill()


def _difference(logits: np.ndarray, expected: np.ndarray) -> float:
    if logits.shape != expected.shape:
        raise ValueError(
            f"The SavedModel gives logits {logits.shape}; expected {expected.shape}. "
            "Pass the logits of the same images and student."
        )
    return float(np.abs(logits - expected).max())


def keras_file(model: keras.Model, path: str | Path) -> None:
    """Saves a `.keras` that plain Keras loads; one already there stays until the new one is whole.

    Raises:
        ValueError: `path` does not end in .keras, or the model holds classes of this package.
        OSError: it could not be written.
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise ValueError(f"The path is {str(path)!r}; expected one that ends in .keras.")
    with atomic.in_place_of(path) as fresh:
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


def _answer(student: keras.Model, head: str) -> Callable[[tf.Tensor], Outputs]:
    def answer(images: tf.Tensor) -> Outputs:
        output = tf.cast(student(tf.cast(images, tf.float32), training=False), tf.float32)
        if head == "logits":
            return {"probabilities": tf.nn.softmax(output), "logits": output}
        logits = tf.math.log(tf.maximum(output, SMALLEST_PROBABILITY))
        return {"probabilities": output, "logits": logits}

    return answer


def _decode(image_bytes: tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
    """(B,) strings to uint8 (B, H, W, C): whole pixels, as the models saw them in training."""

    def one(data: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_image(data, channels=shape[2], expand_animations=False)
        image = tf.image.resize(image, shape[:2], method="bilinear", antialias=True)
        return tf.cast(tf.clip_by_value(tf.round(image), 0.0, 255.0), tf.uint8)

    return tf.map_fn(one, image_bytes, fn_output_signature=tf.TensorSpec(shape, tf.uint8))


def _write(
    student: keras.Model,
    answer: Callable[[tf.Tensor], Outputs],
    folder: Path,
    shape: tuple[int, ...],
    class_names: Sequence[str],
) -> None:
    pixels = tf.TensorSpec((None, *shape), tf.uint8, name="images")
    files = tf.TensorSpec((None,), tf.string, name="image_bytes")
    root = tf.Module()
    # The variables and not the model: a compiled student would bring its optimizer along.
    root.student_variables = student.variables
    root.serve = tf.function(answer, input_signature=[pixels])

    def answer_bytes(image_bytes: tf.Tensor) -> Outputs:
        return answer(_decode(image_bytes, shape))

    root.serve_bytes = tf.function(answer_bytes, input_signature=[files])
    with tempfile.TemporaryDirectory() as scratch:
        names = Path(scratch, "class_names.txt")
        names.write_text("".join(f"{name}\n" for name in class_names), encoding="utf-8")
        root.class_names = tf.saved_model.Asset(str(names))
        signatures = {"serving_default": root.serve, "serve_bytes": root.serve_bytes}
        try:
            tf.saved_model.save(root, str(folder), signatures=signatures)
        except tf.errors.OpError as error:  # how TensorFlow reports a full disk
            raise OSError(error.message.split("; ")[-1].split(" [Op:")[0]) from error
