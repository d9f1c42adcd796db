"""Preprocessing of pixels: from ours (0..255, RGB) to the ranges of well-known families."""

from typing import TYPE_CHECKING, Any

import numpy as np

from kd_keras import check

if TYPE_CHECKING:
    import keras

# Mean and deviation of ImageNet's training pixels; caffe's order is blue, green, red.
_CAFFE_MEAN = (103.939, 116.779, 123.68)
_TORCH_MEAN = (0.485, 0.456, 0.406)
_TORCH_STD = (0.229, 0.224, 0.225)

# mode: (blue first, scale, offset); scale and offset are one number, or one for each channel.
MODES: dict[str, tuple[bool, Any, Any]] = {
    "0..255": (False, 1.0, 0.0),
    "0..1": (False, 1 / 255, 0.0),
    "-1..1": (False, 1 / 127.5, -1.0),
    "caffe": (True, 1.0, [-mean for mean in _CAFFE_MEAN]),
    "torch": (
        False,
        [1 / (255 * std) for std in _TORCH_STD],
        [-mean / std for mean, std in zip(_TORCH_MEAN, _TORCH_STD, strict=True)],
    ),
}


def encode(images: "keras.KerasTensor", mode: str) -> "keras.KerasTensor":
    """Pixels in the range and channel order of `mode`, by stock Keras layers.

    Args:
        images: (B, H, W, C) float32 in 0..255, red first; C is 3 for "caffe" and "torch".
        mode: "0..255", "0..1", "-1..1", "caffe" (blue first, means subtracted) or "torch"
            (standardised).

    Returns:
        (B, H, W, C) float32.

    Raises:
        ValueError: unknown mode, or grey images with a mode that needs colours.
    """
    blue_first, scale, offset = MODES[check.one_of("preprocessing", mode, MODES)]
    if isinstance(offset, list) and images.shape[-1] != len(offset):
        raise ValueError(
            f"preprocessing {mode!r} got images of {images.shape[-1]} channel(s); expected 3. "
            "Choose '0..255', '0..1' or '-1..1' for grey images."
        )
    if mode == "0..255":
        return images
    import keras  # not above: models in other formats than Keras's run without it

    if blue_first:
        images = keras.ops.flip(images, axis=-1)
    return keras.layers.Rescaling(scale, offset, name="pixels")(images)


def encode_array(images: np.ndarray, mode: str) -> np.ndarray:
    """The same as `encode` on a (B, H, W, C) array, in float64; "0..255" returns it as it is."""
    if mode == "0..255":
        return images
    blue_first, scale, offset = MODES[check.one_of("preprocessing", mode, MODES)]
    images = images[..., ::-1] if blue_first else images
    result: np.ndarray = images.astype("float64") * np.asarray(scale) + np.asarray(offset)
    return result


def three_channels(images: "keras.KerasTensor") -> "keras.KerasTensor":
    """Repeats grey images (B, H, W, 1) to (B, H, W, 3); colour images stay as they are."""
    import keras

    if images.shape[-1] == 3:
        return images
    return keras.layers.Concatenate(name="grey_to_rgb")([images] * 3)
