"""Feature maps (B, H, W, C) in the forms in which methods compare them."""

from keras import ops

from kd_keras.methods.base import Method, Outputs, Tensor
from kd_keras.methods.parts import vectors


def tapped(method: Method, student: Outputs, teacher: Outputs) -> tuple[list[Tensor], list[Tensor]]:
    """The features that a method's taps name, shallow to deep: the student's, the teacher's."""
    return [student[t] for t in method.student_taps], [teacher[t] for t in method.teacher_taps]


def by_position(features: Tensor) -> Tensor:
    """(B, H, W, C) to (B, H*W, C), float32."""
    height, width, channels = features.shape[1:]
    return ops.reshape(ops.cast(features, "float32"), (-1, height * width, channels))


def attention(features: Tensor, *, power: int) -> Tensor:
    """Where a map is active: (B, H, W, C) to the unit vector (B, H*W) of mean_c features^power.

    There is no absolute value: an odd power keeps signs.
    """
    return vectors.unit(ops.mean(ops.power(by_position(features), power), axis=-1))
