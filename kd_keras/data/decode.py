"""From image files to equal arrays of pixels; a file that does not decode is named."""

import os
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

BATCH = 256


def decode(encoded: tf.Tensor, *, size: int | None, channels: int) -> tf.Tensor:
    """One JPEG, PNG, GIF or BMP as pixels.

    Args:
        encoded: () string, the file's bytes.
        size: pixels a side, reached by bilinear, antialiased resizing of the whole image; None
            keeps the image's own.
        channels: 1 or 3; grey images become three equal channels, colours become grey.

    Returns:
        (H, W, channels) uint8.
    """
    image = tf.io.decode_image(encoded, channels=channels, expand_animations=False)
    image.set_shape((None, None, channels))
    if size is None:
        return image

    def resized() -> tf.Tensor:
        smooth = tf.image.resize(image, (size, size), antialias=True)
        return tf.cast(tf.clip_by_value(tf.round(smooth), 0, 255), tf.uint8)

    fits = tf.reduce_all(tf.equal(tf.shape(image)[:2], size))
    return tf.ensure_shape(tf.cond(fits, lambda: image, resized), (size, size, channels))


def batches(
    records: tf.data.Dataset, *, size: int | None, channels: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Decodes records in order.

    Args:
        records: of {"image": () string, "label": () int, "name": () string}, the same ones in the
            same order at every pass.
        size, channels: as for `decode`; without a size all images must have one already.

    Yields:
        (b, H, W, channels) uint8 and (b,) int.

    Raises:
        ValueError: an image does not decode, or differs in size from the first; it is named.
    """

    def pixels(record: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        return decode(record["image"], size=size, channels=channels), record["label"]

    decoded = records.map(pixels, num_parallel_calls=os.cpu_count(), deterministic=True)
    done, shape = 0, None
    try:
        for images, labels in decoded.batch(BATCH).prefetch(2).as_numpy_iterator():
            shape = shape or images.shape[1:]
            if images.shape[1:] != shape:
                raise _culprit(records.skip(done), shape, size, channels)
            yield images, labels
            done += len(labels)
    except tf.errors.InvalidArgumentError as error:
        raise _culprit(records.skip(done), shape, size, channels) from error


def _culprit(
    records: tf.data.Dataset, shape: tuple[int, ...] | None, size: int | None, channels: int
) -> ValueError:
    """Names the first of the next batch's images that does not decode or is of another size."""
    for record in records.take(BATCH):
        name = record["name"].numpy().decode(errors="replace")
        try:
            got = tuple(decode(record["image"], size=size, channels=channels).shape)
        except tf.errors.InvalidArgumentError as error:
            reason = str(error.message).splitlines()[0]
            return ValueError(
                f"{name} does not decode as an image ({reason}). Replace it or take it out."
            )
        shape = shape or got
        if got != shape:
            return ValueError(
                f"{name} is {got[0]}x{got[1]}, but the images before it are {shape[0]}x{shape[1]}; "
                "expected one size. Give --image-size, such as 64, and all are resized to it."
            )
    return ValueError("The images cannot be read as a batch, though each can alone; try again.")
