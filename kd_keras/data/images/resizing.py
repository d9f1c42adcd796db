"""Resizes an image to the size that a model takes, in training and in serving alike."""

import tensorflow as tf

from kd_keras import check

RESIZES = ("crop", "pad", "squash")


def resized(image: tf.Tensor, *, height: int, width: int, how: str) -> tf.Tensor:
    """Resizes an image, bilinear and antialiased, rounded to whole pixel values.

    Args:
        image: (H, W, C) uint8.
        height, width: pixels of the result.
        how: "crop" scales the image until it covers the result and cuts its centre out; "pad"
            scales it until it fits inside and centres it between black borders; "squash" scales
            height and width each by its own factor, which changes the aspect ratio.

    Returns:
        (height, width, C) uint8; the image itself if it has that size.

    Raises:
        ValueError: `how` is none of these.
    """
    check.one_of("resize", how, RESIZES)
    target = tf.constant((height, width), tf.int64)
    size = tf.shape(image, out_type=tf.int64)[:2]

    def scaled() -> tf.Tensor:
        full_size = _full_size(size, target, how)
        # Whole pixels: a shift by half a pixel would blur. Rounds towards zero.
        shift = tf.truncatediv(target - full_size, 2)
        # Only the result is computed, not the full image, which may be much larger.
        smooth = tf.raw_ops.ScaleAndTranslate(
            images=image[None],
            size=tf.cast(target, tf.int32),
            scale=tf.cast(full_size / size, tf.float32),
            translation=tf.cast(shift, tf.float32),
            kernel_type="triangle",
            antialias=True,
        )[0]
        return tf.cast(tf.clip_by_value(tf.round(smooth), 0, 255), tf.uint8)

    has_target_size = tf.reduce_all(tf.equal(size, target))
    result = tf.cond(has_target_size, lambda: image, scaled)
    return tf.ensure_shape(result, (height, width, image.shape[-1]))


def _full_size(size: tf.Tensor, target: tf.Tensor, how: str) -> tf.Tensor:
    """(2,) int64: height and width of the whole image once it is scaled, before crop or border.

    Args:
        size: (2,) int64, height and width of the image.
        target: (2,) int64, height and width of the result.
        how: "crop", "pad" or "squash".
    """
    if how == "squash":
        return target
    # The size at which the image has the target's height, and the one with the target's width.
    by_height, by_width = (_quotient(size * target[axis], size[axis]) for axis in (0, 1))
    is_wider = size[1] * target[0] > size[0] * target[1]
    return tf.where(tf.equal(is_wider, how == "crop"), by_height, by_width)


def _quotient(numerator: tf.Tensor, denominator: tf.Tensor) -> tf.Tensor:
    """The nearest whole number, at least 1."""
    return tf.maximum((2 * numerator + denominator) // (2 * denominator), 1)
