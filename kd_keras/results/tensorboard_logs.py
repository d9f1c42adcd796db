"""What TensorBoard shows of a training: curves grouped by what they measure, and images."""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kd_keras.results import pictures

MOST_IMAGES = 64
_TAGS = {
    "loss": "loss/total",
    "agreement": "distillation/agreement",
    "images_per_second": "speed/images_per_second",
    "learning_rate": "learning_rate",
}


def tag(name: str) -> str:
    """Where TensorBoard shows a log called `name`; groups are sorted, and accuracy comes first.

    Args:
        name: of a log, without "val_": training and validation share a tag.
    """
    if name in _TAGS:
        return _TAGS[name]
    if re.fullmatch(r"top\d+|.*accuracy", name):
        return f"accuracy/{name}"
    if name.endswith("_share"):
        return f"loss_share/{name.removesuffix('_share')}"
    return f"loss/{name}"


class EpochTensorBoard(keras.callbacks.TensorBoard):
    """Keras's TensorBoard for logs of epochs alone, under the names of `tag`.

    Keras's own prepares summaries at every step only to drop them (0.4 ms a step with six values),
    and writes the validation's a second time, by step. Logs reach the disk after each epoch, so
    that a run which breaks off keeps them.
    """

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        pass

    def on_test_end(self, logs: Any = None) -> None:
        pass

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        training = {name: v for name, v in logs.items() if not name.startswith("val_")}
        validation = {
            name.removeprefix("val_"): v for name, v in logs.items() if name not in training
        }
        self._write(self._train_writer, training, epoch)
        if validation:
            self._write(self._val_writer, validation, epoch)

    def _write(self, writer: Any, logs: Mapping[str, Any], epoch: int) -> None:
        with writer.as_default(epoch):
            for name, value in logs.items():
                tf.summary.scalar(tag(name), value)
        writer.flush()


def callback(folder: str | Path) -> keras.callbacks.TensorBoard:
    """A callback that writes each epoch's logs to `folder`/train and `folder`/validation."""
    return EpochTensorBoard(str(folder), write_graph=False)


def write_images(
    folder: str | Path, images: np.ndarray, names: Sequence[str], *, title: str
) -> None:
    """Writes one picture of the first 64 images and their classes to TensorBoard's logs.

    Args:
        folder: a folder of event files.
        images: uint8 (B, H, W, C), C 1 or 3.
        names: (B,) of their classes.
        title: the picture's name on the page.
    """
    picture = pictures.grid(images[:MOST_IMAGES], names[:MOST_IMAGES])
    with writing(folder):
        tf.summary.image(title, picture[None], step=0)


@contextlib.contextmanager
def writing(folder: str | Path) -> Iterator[None]:
    """In the block, summaries go to event files in `folder`."""
    writer = tf.summary.create_file_writer(str(folder))
    try:
        with writer.as_default():
            yield
    finally:
        writer.close()
