"""Convolution, batch norm and, where asked, ReLU: made of stock layers, which load anywhere."""

from typing import Any

import keras
from keras import layers

from kd_keras.methods.parts import projectors

_MOMENTUM = 0.9  # of the reference implementations, whose 0.1 is the share of the new batch


def connector(
    input_shape: tuple[Any, ...],
    channels: int,
    *,
    kernel_size: int = 1,
    relu: bool = False,
    initializer: keras.Initializer | None = None,
    name: str,
) -> keras.Sequential:
    """A built connector, (B, H, W, C) to (B, H, W, `channels`) float32.

    Args:
        input_shape: of the map, batch axis first.
        channels: of the result.
        kernel_size: of the convolution; the map keeps its size.
        relu: whether a ReLU ends it.
        initializer: of the kernel; He's normal one over the outputs where left out.
        name: of the model returned; its layers' names begin with it.
    """
    parts = [
        layers.Conv2D(
            channels,
            kernel_size,
            padding="same",
            use_bias=False,
            kernel_initializer=initializer or projectors.he_normal(),
            dtype="float32",
            name=f"{name}_convolution",
        ),
        layers.BatchNormalization(
            momentum=_MOMENTUM,
            epsilon=projectors.BATCH_NORM_EPSILON,
            dtype="float32",
            name=f"{name}_norm",
        ),
    ]
    if relu:
        parts.append(layers.ReLU(dtype="float32", name=f"{name}_relu"))
    sequence = keras.Sequential(parts, name=name)
    sequence.build((None, *input_shape[1:]))
    return sequence
