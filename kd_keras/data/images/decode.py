"""Decodes image files to arrays of one size; errors name the files that do not decode."""

import functools
import io
import os
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from kd_keras.data import fault_report
from kd_keras.data.images import image_files, orientation, resizing

BATCH = 256
_PIXELS_AT_A_TIME = 50_000_000  # of images that are decoded at a time, unless one alone has more
_BATCH_PIXELS = 20_000_000  # of a batch of decoded images: 60 MB
_REMEDY = "Replace it or take it out."
_EXIF = b"Exif\0\0"  # the name of the segment that holds an orientation
# What TensorFlow puts around the message of its decoder, with the name of a Python error.
_FRAME = re.compile(r"^\{\{.*?\}\} |^ValueError: | \[Op:.*$")
#: The bytes that files begin with which TensorFlow decodes: JPEG and PNG.
NATIVE = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")


def decode(image_bytes: tf.Tensor, *, size: int | None, channels: int, resize: str) -> tf.Tensor:
    """Decodes one image file, turned upright: the first frame, without transparency.

    TensorFlow decodes JPEG and PNG, as in served models; Pillow decodes other formats.

    Args:
        image_bytes: () string, the file's bytes.
        size: pixels a side; None keeps the size of the image.
        channels: 1 or 3; grey images become three equal channels, colours become grey.
        resize: how an image that is not square is made square, see `resizing.resized`.

    Returns:
        (H, W, channels) uint8.
    """
    # NumPy cuts zeros off the end of bytes.
    image_bytes = tf.convert_to_tensor(image_bytes, tf.string)
    is_native = tf.reduce_any([_begins_with(image_bytes, magic) for magic in NATIVE])
    image = tf.cond(
        is_native,
        lambda: _decode_with_tensorflow(image_bytes, channels),
        lambda: _decode_with_pillow(image_bytes, channels),
    )
    image = tf.ensure_shape(image, (None, None, channels))
    if size is None:
        return image
    return resizing.resized(image, height=size, width=size, how=resize)


def batches(
    records: tf.data.Dataset,
    *,
    size: int | None,
    channels: int,
    resize: str,
    other_records: tf.data.Dataset | None = None,
    max_pixels: int = 0,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Decodes records in order.

    Args:
        records: dataset of {"image": () string, "label": () int, "name": () string}; every pass
            gives the same records in the same order.
        size, channels, resize: as for `decode`; without a size, all images must have the same.
        other_records: records of other splits, whose faults are named in the same error.
        max_pixels: pixels of the largest image, which decides how many are decoded at a time; 0:
            not known, images are small.

    Yields:
        (b, H, W, channels) uint8 and (b,) int.

    Raises:
        ValueError: images do not decode, or differ in size from the first; it names them.
    """

    decoded = _traced_decode(size, channels, resize)

    def pixels(record: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        return decoded(record["image"]), record["label"]

    decoded_images = records.map(
        pixels, num_parallel_calls=_at_a_time(max_pixels), deterministic=True
    )
    pixels_per_image = size * size if size else max_pixels
    image_batches = decoded_images.batch(
        min(BATCH, max(1, _BATCH_PIXELS // max(1, pixels_per_image)))
    )
    num_decoded, shape = 0, None
    try:
        for images, labels in image_batches.prefetch(2).as_numpy_iterator():
            shape = shape or images.shape[1:]
            if images.shape[1:] != shape:
                raise _different_size(records.skip(num_decoded), shape, channels)
            yield images, labels
            num_decoded += len(labels)
    except tf.errors.InvalidArgumentError as error:
        all_records = records if other_records is None else records.concatenate(other_records)
        faults = describe_undecodable(all_records, channels=channels, max_pixels=max_pixels)
        raise (
            fault_report.error("Images do not decode", faults, _REMEDY)
            if faults
            else _different_size(records.skip(num_decoded), shape, channels)
        ) from error


def describe_undecodable(
    records: tf.data.Dataset, *, channels: int, max_pixels: int = 0
) -> list[str]:
    """One sentence for each record whose image does not decode, in order.

    Args:
        records: as for `batches`.
        channels: 1 or 3, as for `decode`.
        max_pixels: pixels of the largest image; 0: not known, images are small.
    """

    decoded = _traced_decode(None, channels, "squash")

    def with_shape(index: tf.Tensor, record: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        # What is not read of a traced function is not computed: the shape, so that it decodes.
        return index, tf.shape(decoded(record["image"]))

    numbered_records = records.enumerate()
    decoded_indices = numbered_records.map(
        with_shape, num_parallel_calls=_at_a_time(max_pixels)
    ).ignore_errors()
    valid_indices = {index for index, _ in decoded_indices.as_numpy_iterator()}
    # A file that cannot be read at all raises here.
    names = records.map(lambda record: (record["image"], record["name"])).enumerate()
    return [
        f"{_text(name)} does not decode as an image ({reason(image_bytes, channels)})."
        for index, (image_bytes, name) in names.as_numpy_iterator()
        if index not in valid_indices
    ]


@functools.cache
def _traced_decode(size: int | None, channels: int, resize: str) -> Any:
    """`decode` as a graph, traced once for all splits and passes; its arguments are `decode`'s."""
    return tf.function(
        functools.partial(decode, size=size, channels=channels, resize=resize),
        input_signature=[tf.TensorSpec((), tf.string)],
    )


def _at_a_time(max_pixels: int) -> int:
    """Number of images to decode at a time; fewer where images have many pixels."""
    return min(os.cpu_count() or 1, max(1, _PIXELS_AT_A_TIME // max(1, max_pixels)))


def _decode_with_tensorflow(image_bytes: tf.Tensor, channels: int) -> tf.Tensor:
    # In the graph, `read_orientation` takes ten times as long as a small JPEG takes to decode.
    turn = tf.ensure_shape(tf.numpy_function(_orientation, [image_bytes], tf.int32), ())
    with tf.control_dependencies([turn]):  # which refuses images that would fill the memory
        image = tf.io.decode_image(image_bytes, channels=channels, expand_animations=False)
    image = tf.ensure_shape(image, (None, None, channels))
    upright = tf.cond(turn > 1, lambda: orientation.turn_upright(image, turn), lambda: image)
    return tf.ensure_shape(upright, (None, None, channels))


def _orientation(image_bytes: Any) -> np.int32:
    """`orientation.read_orientation`, called only if the file may have an EXIF segment.

    Raises ValueError for an image of more pixels than are read.
    """
    data = _bytes(image_bytes)
    if image_files.may_be_too_large(data):
        header = image_files.read_header(io.BytesIO(data), "")
        if header.too_large:
            raise ValueError(header.reason)
    return _traced_orientation()(tf.constant(data)).numpy() if _EXIF in data else np.int32(1)


@functools.cache
def _traced_orientation() -> Any:
    return tf.function(orientation.read_orientation, input_signature=[tf.TensorSpec((), tf.string)])


def _decode_with_pillow(image_bytes: tf.Tensor, channels: int) -> tf.Tensor:
    def pixels(image_bytes: Any) -> np.ndarray:
        return image_files.pixels(_bytes(image_bytes), channels)

    return tf.numpy_function(pixels, [image_bytes], tf.uint8)


def _bytes(image_bytes: Any) -> bytes:
    """What `tf.numpy_function` gives for a string: bytes in a graph, an array of them eagerly."""
    data: bytes = np.asarray(image_bytes, object).item()
    return data


def _begins_with(image_bytes: tf.Tensor, magic: bytes) -> tf.Tensor:
    return tf.equal(tf.strings.substr(image_bytes, 0, len(magic)), magic)


def reason(image_bytes: bytes, channels: int) -> str:
    """Why a file's bytes do not decode, in a few words of the program that decodes them.

    Args:
        image_bytes: content of the file.
        channels: 1 or 3, as for `decode`.
    """
    try:
        decode(tf.constant(image_bytes), size=None, channels=channels, resize="squash")
    except ValueError as error:  # of the check before TensorFlow decodes
        return str(error)
    except tf.errors.InvalidArgumentError as error:
        return _FRAME.sub("", str(error.message).splitlines()[0]).rstrip(". ")
    return "it decodes now; it may be changing"


def _different_size(
    records: tf.data.Dataset, shape: tuple[int, ...] | None, channels: int
) -> ValueError:
    """Names the first image of the next batch whose size differs.

    Args:
        records: images that are not decoded, the next batch first.
        shape: (H, W, C) of the images before; None: there are none.
        channels: 1 or 3.
    """
    for record in records.take(BATCH):
        image = _traced_decode(None, channels, "squash")(record["image"])
        height, width, _ = image_shape = tuple(image.shape)
        shape = shape or image_shape
        if image_shape != shape:
            return ValueError(
                f"{_text(record['name'].numpy())} is {height}x{width}, but the images before it "
                f"are {shape[0]}x{shape[1]}; expected one size. Give --image-size, such as 64, and "
                "all are resized to it."
            )
    return ValueError("The images cannot be read as a batch, though each can alone; try again.")


def _text(name: bytes) -> str:
    # File names need not be UTF-8; other bytes are shown as the escapes that shells use.
    return name.decode(errors="backslashreplace")
