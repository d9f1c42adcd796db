"""Trainable layers that map a student's features to the shape of a teacher's."""

from typing import Any

import keras
from keras import layers, ops

from kd_keras.methods.parts import alignment
from kd_keras.tensor_types import Tensor

BATCH_NORM_EPSILON = 1e-5  # as in the reference implementations; Keras's default is 1e-3


def he_normal() -> keras.Initializer:
    return keras.initializers.VarianceScaling(
        2.0, mode="fan_out", distribution="untruncated_normal"
    )


@keras.saving.register_keras_serializable(package="kd_keras")
class Regressor(keras.Layer):
    """Convolution with bias, batch norm, ReLU: maps a student's features to a teacher's shape.

    (B, h, w, c) to (B, H, W, C). A 3x3 convolution of stride 2 halves the size, a transposed 4x4
    one doubles it; otherwise the convolution is a valid one with kernel 1 + h - H (1x1 at equal
    sizes). A student's map that is smaller in any other ratio keeps its size, and `matched` pools
    the teacher's. Vectors (B, c) pass through a dense layer instead.

    Args:
        target: shape of the teacher's features, batch axis first.
    """

    def __init__(self, target: tuple[Any, ...], **kwargs: Any):
        super().__init__(dtype="float32", **kwargs)
        self.target = tuple(target)
        self.norm = layers.BatchNormalization(epsilon=BATCH_NORM_EPSILON, dtype="float32")

    def build(self, input_shape: tuple[Any, ...]) -> None:
        channels = self.target[-1]
        self.pad = layers.ZeroPadding2D(0)
        if len(input_shape) == 2:
            self.convolution: Any = layers.Dense(channels, dtype="float32")
        else:
            height, width = input_shape[1:3]
            target_height, target_width = self.target[1:3]
            arguments: dict[str, Any] = {
                "kernel_initializer": he_normal(),
                "dtype": "float32",
            }
            if (height, width) == (2 * target_height, 2 * target_width):
                self.pad = layers.ZeroPadding2D(1)
                self.convolution = layers.Conv2D(channels, 3, strides=2, **arguments)
            elif (2 * height, 2 * width) == (target_height, target_width):
                self.convolution = layers.Conv2DTranspose(
                    channels, 4, strides=2, padding="same", **arguments
                )
            elif height >= target_height and width >= target_width:
                kernel = (1 + height - target_height, 1 + width - target_width)
                self.convolution = layers.Conv2D(channels, kernel, **arguments)
            else:
                self.convolution = layers.Conv2D(channels, 1, **arguments)
        if len(input_shape) == 4:
            padded_shape = self.pad.compute_output_shape(input_shape)
        else:
            padded_shape = input_shape
        self.convolution.build(padded_shape)
        self.norm.build(self.convolution.compute_output_shape(padded_shape))

    def call(self, features: Tensor, training: bool = True) -> Tensor:
        if len(features.shape) == 4:
            features = self.pad(features)
        return ops.relu(self.norm(self.convolution(features), training=training))

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(input_shape) == 2:
            return (*input_shape[:-1], self.target[-1])
        padded_shape = self.pad.compute_output_shape(input_shape)
        return tuple(self.convolution.compute_output_shape(padded_shape))

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "target": self.target}


def matched(projected: Tensor, teacher: Tensor) -> Tensor:
    """The teacher's features, average-pooled if the projected student's map is smaller.

    Args:
        projected: (B, h, w, C) float map of the student after a regressor, or a vector (B, C).
        teacher: (B, H, W, C) float map, or a vector (B, C).
    """
    if len(teacher.shape) != 4:
        return teacher
    return alignment.adaptive_average_pool(teacher, tuple(projected.shape[1:3]))
