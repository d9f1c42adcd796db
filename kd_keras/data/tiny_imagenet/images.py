"""The images of an archive's files, decoded in the order of the store; no file is extracted."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from kd_keras.data.images import decode
from kd_keras.data.tiny_imagenet import archive


def in_store_order(split: str, examples: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Examples in the order in which TensorFlow Datasets 4.9 writes the builder's examples.

    Ids follow the order, so stores, teacher caches and measured accuracies depend on it.

    Args:
        split: name of the split; the order depends on it.
        examples: (file, label) of each image.
    """
    return sorted(
        examples, key=lambda example: hashlib.md5(f"{split}{example[0]}".encode()).digest()
    )


def batches(
    path: Path, examples: list[tuple[str, int]], image_size: int | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Decoded images and labels; the archive is open while they are read.

    Args:
        path: the zip or the extracted folder, from `archive.find`.
        examples: (file, label) of each image, in order.
        image_size: pixels a side; None keeps 64.
    """
    with archive.open_archive(path) as files:

        def record(name: tf.Tensor, label: tf.Tensor) -> dict[str, tf.Tensor]:
            image_bytes = tf.numpy_function(
                lambda text: files.read(text.decode()), [name], tf.string
            )
            return {"image": tf.ensure_shape(image_bytes, ()), "label": label, "name": name}

        names, labels = zip(*examples, strict=True)
        records = tf.data.Dataset.from_tensor_slices((list(names), np.array(labels, np.int64)))
        try:
            # All images are square, so the way of resizing changes nothing.
            yield from decode.batches(
                records.map(record), size=image_size, channels=3, resize="squash"
            )
        except tf.errors.OpError:
            for name in names:  # raises the archive's error, which names the file
                files.read(name)
            raise
