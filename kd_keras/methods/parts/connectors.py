"""Convolution, batch norm and optional ReLU, of stock layers only, which load anywhere."""

from typing import Any

import keras
from keras import layers

from kd_keras.methods.parts import projectors

_MOMENTUM = 0.9  # as in the reference implementations, where 0.1 is the new batch's share


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
        input_shape: shape of the map, batch axis first.
        channels: number of channels of the result.
        kernel_size: size of the convolution's kernel; the map keeps its size.
        relu: whether a ReLU follows the batch norm.
        initializer: initializer of the kernel; None: He's normal one over the outputs.
        name: name of the returned model; the names of its layers begin with it.
    """
    block = [
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
        block.append(layers.ReLU(dtype="float32", name=f"{name}_relu"))
    sequence = keras.Sequential(block, name=name)
    sequence.build((None, *input_shape[1:]))
    return sequence
