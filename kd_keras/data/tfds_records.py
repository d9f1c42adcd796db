"""Data sets of TensorFlow Datasets, prepared quietly and read as the contents of a store."""

import os
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds

from kd_keras.data import decode
from kd_keras.data.store_writer import Contents, Part


def prepare(builder: Any, *, show_bars: bool = False) -> None:
    """Downloads and prepares a tfds.core.DatasetBuilder without its prints and statistics."""
    # Its two prints have no switch. If they are renamed one day, they are merely heard again.
    builder._log_download_bytes = builder._log_download_done = lambda: None
    if not show_bars:
        tfds.disable_progress_bar()
    try:
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(
                compute_stats=tfds.download.ComputeStatsMode.SKIP
            )
        )
    finally:
        tfds.enable_progress_bar()


def contents(
    builder: Any,
    splits: Mapping[str, str],
    *,
    size: int | None,
    resize: str,
    image: str = "image",
    label: str = "label",
    file_name: str | None = None,
) -> Contents:
    """Reads a prepared builder.

    Args:
        builder: a tfds.core.DatasetBuilder with an Image and a ClassLabel feature.
        splits: from the store's part to the builder's split, such as {"validation": "test"}.
        size: pixels a side; None keeps the images' own.
        resize: how images of another aspect are made square, see `resizing.resized`.
        image, label, file_name: keys of the features; without a file name an image is known by
            its number.
    """
    features = builder.info.features
    channels = 1 if features[image].shape[-1] == 1 else 3

    def part(split: str) -> Part:
        records = _records(builder, split, image, label, file_name)
        batches = decode.batches(records, size=size, channels=channels, resize=resize)
        return Part(builder.info.splits[split].num_examples, batches)

    return Contents(list(features[label].names), {to: part(of) for to, of in splits.items()})


def undecoded(builder: Any, split: str, image: str) -> tf.data.Dataset:
    """A split's examples in the order of its files, each image still the bytes of its file."""
    return builder.as_dataset(
        split=split,
        decoders={image: tfds.decode.SkipDecoding()},
        read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
        shuffle_files=False,
    )


def shapes(builder: Any, split: str, image: str, *, at_most: int) -> list[tuple[int, int]]:
    """(height, width) of the first images of a split; those that do not decode are left out."""

    def shape(example: dict[str, tf.Tensor]) -> tf.Tensor:
        pixels = decode.decode(example[image], size=None, channels=3, resize="squash")
        return tf.shape(pixels)[:2]

    encoded = undecoded(builder, split, image).take(at_most)
    sizes = encoded.map(shape, num_parallel_calls=os.cpu_count()).ignore_errors()
    return [(int(height), int(width)) for height, width in sizes.as_numpy_iterator()]


def _records(
    builder: Any, split: str, image: str, label: str, file_name: str | None
) -> tf.data.Dataset:
    def record(number: tf.Tensor, example: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        unnamed = tf.strings.join(
            [f"Image {builder.info.name}/{split}/", tf.strings.as_string(number)]
        )
        name = unnamed if file_name is None else example[file_name]
        return {"image": example[image], "label": example[label], "name": name}

    return undecoded(builder, split, image).enumerate().map(record)
