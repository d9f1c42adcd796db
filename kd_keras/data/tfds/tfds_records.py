"""Datasets of TensorFlow Datasets, prepared quietly and read as the contents of a store."""

import os
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds

from kd_keras.data.images import decode
from kd_keras.data.stores.store import UNKNOWN
from kd_keras.data.stores.store_writer import Contents, SplitContents
from kd_keras.data.tfds import tfds_workarounds


def prepare(builder: Any, *, show_bars: bool) -> None:
    """Downloads and prepares a tfds.core.DatasetBuilder without its prints and statistics."""
    skip = tfds.download.DownloadConfig(compute_stats=tfds.download.ComputeStatsMode.SKIP)
    with tfds_workarounds.quiet(builder, show_bars=show_bars), tfds_workarounds.few_tries():
        builder.download_and_prepare(download_config=skip)


def contents(
    builder: Any,
    splits: Mapping[str, str],
    *,
    size: int | None,
    resize: str,
    image: str,
    label: str,
) -> Contents:
    """Reads a prepared builder.

    Args:
        builder: a tfds.core.DatasetBuilder with an Image and a ClassLabel feature.
        splits: names of the store's splits and of the builder's, such as {"validation": "test"}.
        size: pixels a side; None keeps the images' own size.
        resize: how images of another aspect are made square, see `resizing.resized`.
        image, label: names of the two features.
    """
    features = builder.info.features
    channels = 1 if features[image].shape[-1] == 1 else 3
    form: dict[str, Any] = {"size": size, "channels": channels, "resize": resize, "image": image}
    split_contents = {
        name: read_split(builder, split, label=label, **form) for name, split in splits.items()
    }
    return Contents(list(features[label].names), split_contents)


def read_split(
    builder: Any,
    split: str,
    *,
    size: int | None,
    channels: int,
    resize: str,
    image: str,
    label: str | None = None,
) -> SplitContents:
    """Reads a split of a prepared builder; without `label`, labels are unknown.

    Args:
        builder: a prepared tfds.core.DatasetBuilder.
        split: name of the builder's split.
        size, channels, resize: as for `decode.decode`.
        image: name of the feature that holds the image.
        label: name of the feature that holds the class; None: labels are unknown.
    """
    records = _records(builder, split, image, label)
    batches = decode.batches(records, size=size, channels=channels, resize=resize)
    return SplitContents(builder.info.splits[split].num_examples, batches)


def shapes(builder: Any, split: str, image: str, *, at_most: int) -> list[tuple[int, int]]:
    """(height, width) of the first images of a split, without those that do not decode.

    Args:
        builder: a prepared tfds.core.DatasetBuilder.
        split: name of the builder's split.
        image: name of the feature that holds the image.
        at_most: number of images to look at.
    """

    def shape(example: dict[str, tf.Tensor]) -> tf.Tensor:
        pixels = decode.decode(example[image], size=None, channels=3, resize="squash")
        return tf.shape(pixels)[:2]

    encoded_examples = _encoded_examples(builder, split, image).take(at_most)
    sizes = encoded_examples.map(shape, num_parallel_calls=os.cpu_count()).ignore_errors()
    return [(int(height), int(width)) for height, width in sizes.as_numpy_iterator()]


def _encoded_examples(builder: Any, split: str, image: str) -> tf.data.Dataset:
    """A split's examples in the order of its files; each image is still the bytes of its file.

    Args:
        builder: builder of the dataset, whose files are prepared.
        split: name of the split.
        image: name of the feature that holds the image.
    """
    return builder.as_dataset(
        split=split,
        decoders={image: tfds.decode.SkipDecoding()},
        read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
        shuffle_files=False,
    )


def _records(builder: Any, split: str, image: str, label: str | None) -> tf.data.Dataset:
    """Records for `decode.batches`; an image is named by its number in the split.

    Args:
        builder: builder of the dataset, whose files are prepared.
        split: name of the split.
        image: name of the feature that holds the image.
        label: name of the feature that holds the label; None: labels are unknown.
    """

    def record(number: tf.Tensor, example: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        prefix = f"Image {builder.info.name}/{split}/"
        name = tf.strings.join([prefix, tf.strings.as_string(number)])
        example_label = tf.constant(UNKNOWN, tf.int64) if label is None else example[label]
        return {"image": example[image], "label": example_label, "name": name}

    return _encoded_examples(builder, split, image).enumerate().map(record)
