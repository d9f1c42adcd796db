"""The EXIF orientation of a JPEG file: how to turn its stored pixels so that they are upright.

Written in TensorFlow operations only, so training and a served SavedModel turn images alike.

Source: CIPA DC-008 (Exif 2.32), section 4.5.4 for the segment and 4.6.4 for the tag.
"""

from collections.abc import Callable

import tensorflow as tf

_MARKER = 0xFF  # the first byte of every segment
_STANDALONE = (0x01, *range(0xD0, 0xD9))  # markers without a length: TEM, RST0 to RST7, SOI
_LAST = (0xD9, 0xDA)  # end of the image, start of its pixels: no EXIF follows
_EXIF_MARKER, _EXIF_NAME = 0xE1, b"Exif\0\0"
_MAX_SEGMENTS = 1024  # bounds the loop on a broken file
_TAG, _SHORT, _LONG = 0x0112, 3, 4
_HEADER = 8  # bytes: order 2, the number 42, the first directory's offset 4
_ENTRY = 12  # bytes: tag 2, type 2, count 4, value 4


def read_orientation(image_bytes: tf.Tensor) -> tf.Tensor:
    """The orientation of one image file.

    Args:
        image_bytes: () string, the file's bytes.

    Returns:
        () int32, 1 to 8 as EXIF defines them; 1, upright, for a JPEG without a valid orientation
        and for every other format.
    """
    data = tf.io.decode_raw(image_bytes, tf.uint8)
    start, end = _exif_segment(data)
    return _first_directory_orientation(data[start:end])


def turn_upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turns an image upright.

    Args:
        image: (H, W, C), as stored.
        orientation: () int, 1 to 8, from `of`.

    Returns:
        (H, W, C), or (W, H, C) for orientations 5 to 8, of the image's dtype.
    """
    is_transposed = _one_of(orientation, (5, 6, 7, 8))
    image = _changed_if(is_transposed, image, lambda pixels: tf.transpose(pixels, (1, 0, 2)))
    left_is_right = _one_of(orientation, (2, 3, 6, 7))
    image = _changed_if(left_is_right, image, lambda pixels: tf.reverse(pixels, [1]))
    upside_down = _one_of(orientation, (3, 4, 7, 8))
    return _changed_if(upside_down, image, lambda pixels: tf.reverse(pixels, [0]))


def _changed_if(
    condition: tf.Tensor, image: tf.Tensor, change: Callable[[tf.Tensor], tf.Tensor]
) -> tf.Tensor:
    """The image, changed if a condition in the graph holds; the static shape is (None, None, C).

    Args:
        condition: scalar bool.
        image: (H, W, C).
        change: the function to apply.
    """
    result = tf.cond(condition, lambda: change(image), lambda: image)
    return tf.ensure_shape(result, (None, None, image.shape[-1]))


def _exif_segment(data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Where the TIFF data of the EXIF segment start and end in a JPEG; 0 and 0 without one."""
    size = tf.size(data, out_type=tf.int64)
    empty = tf.zeros((), tf.int64)

    def goes_on(position: tf.Tensor, start: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
        marker = _number(data, position + 1, 1)
        segment = tf.equal(_number(data, position, 1), _MARKER) & ~_one_of(marker, _LAST)
        return segment & tf.equal(end, 0) & (position + 4 <= size)

    def step(
        position: tf.Tensor, start: tf.Tensor, end: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        marker, length = _number(data, position + 1, 1), _number(data, position + 2, 2)
        name = position + 4
        next_marker = tf.where(length < 2, size, position + 2 + length)
        is_exif = tf.equal(marker, _EXIF_MARKER) & _starts_with(data[name:next_marker], _EXIF_NAME)
        next_position = tf.where(_one_of(marker, _STANDALONE), position + 2, next_marker)
        # A fill byte.
        next_position = tf.where(tf.equal(marker, _MARKER), position + 1, next_position)
        start, end = (
            tf.where(is_exif, offset, empty) for offset in (name + len(_EXIF_NAME), next_marker)
        )
        return next_position, start, end

    first = tf.where(_starts_with(data, b"\xff\xd8"), empty, size)
    _, start, end = tf.while_loop(
        goes_on, step, (first, empty, empty), maximum_iterations=_MAX_SEGMENTS
    )
    return start, end


def _first_directory_orientation(tiff: tf.Tensor) -> tf.Tensor:
    """() int32: the orientation that the first directory of TIFF data holds; 1 without one."""
    is_little_endian = _starts_with(tiff, b"II")
    is_valid = (is_little_endian | _starts_with(tiff, b"MM")) & tf.equal(
        _number(tiff, 2, 2, is_little_endian), 42
    )
    directory = _number(tiff, 4, 4, is_little_endian)
    is_valid &= directory >= _HEADER
    num_entries = _number(tiff, directory, 2, is_little_endian)
    entries = tiff[directory + 2 : directory + 2 + _ENTRY * num_entries]
    num_complete = tf.size(entries) // _ENTRY  # a truncated directory has fewer than `num_entries`
    entries = tf.reshape(entries[: num_complete * _ENTRY], (-1, _ENTRY))
    tag, field_type = (
        _numbers(entries[:, :2], is_little_endian),
        _numbers(entries[:, 2:4], is_little_endian),
    )
    is_single = tf.equal(_numbers(entries[:, 4:8], is_little_endian), 1)
    short_values = _numbers(entries[:, 8:10], is_little_endian)
    long_values = _numbers(entries[:, 8:12], is_little_endian)
    values = tf.where(tf.equal(field_type, _SHORT), short_values, long_values)
    is_match = tf.equal(tag, _TAG) & is_single & _one_of(field_type, (_SHORT, _LONG))
    is_match &= is_valid & (values >= 1) & (values <= 8)
    candidates = tf.concat([tf.ones((1,), tf.int64), values[is_match]], axis=0)
    return tf.cast(candidates[-1], tf.int32)


def _number(
    data: tf.Tensor,
    position: tf.Tensor | int,
    num_bytes: int,
    is_little_endian: tf.Tensor | bool = False,
) -> tf.Tensor:
    """() int64: the unsigned number of `num_bytes` bytes at a position; bytes past the end are 0.

    Args:
        data: (N,) uint8, bytes of the file, or of its Exif data.
        position: position of the first byte.
        num_bytes: number of bytes.
        is_little_endian: whether the lowest byte comes first.
    """
    position = tf.cast(position, tf.int64)
    read_bytes = data[position : position + num_bytes]
    padded_bytes = tf.pad(read_bytes, [[0, num_bytes - tf.size(read_bytes)]])
    return _numbers(tf.ensure_shape(padded_bytes, (num_bytes,)), is_little_endian)


def _numbers(data: tf.Tensor, is_little_endian: tf.Tensor | bool) -> tf.Tensor:
    """(...,) int64: the unsigned numbers in the last axis of (..., count) uint8."""
    num_bytes = data.shape[-1]
    big_endian_bytes = tf.where(is_little_endian, tf.reverse(data, [-1]), data)
    place_values = tf.constant([256 ** (num_bytes - 1 - i) for i in range(num_bytes)], tf.int64)
    return tf.reduce_sum(tf.cast(big_endian_bytes, tf.int64) * place_values, axis=-1)


def _starts_with(data: tf.Tensor, text: bytes) -> tf.Tensor:
    first = tf.pad(data[: len(text)], [[0, tf.maximum(0, len(text) - tf.size(data))]])
    return tf.reduce_all(tf.equal(first, tf.constant(list(text), tf.uint8)))


def _one_of(value: tf.Tensor, allowed: tuple[int, ...]) -> tf.Tensor:
    """bool of the value's shape: whether it is among `allowed`."""
    return tf.reduce_any(tf.equal(value[..., None], tf.constant(allowed, value.dtype)), axis=-1)
