"""Forms of feature maps (B, H, W, C) that methods compare."""

from keras import ops

from kd_keras.methods.base import Method, Outputs, Tensor
from kd_keras.methods.parts import vectors


def tapped(method: Method, student: Outputs, teacher: Outputs) -> tuple[list[Tensor], list[Tensor]]:
    """The student's and the teacher's features at the method's taps, shallow to deep.

    Args:
        method: the method, with its taps.
        student, teacher: outputs by name.
    """
    return [student[t] for t in method.student_taps], [teacher[t] for t in method.teacher_taps]


def by_position(features: Tensor) -> Tensor:
    """(B, H, W, C) to (B, H*W, C), float32."""
    height, width, channels = features.shape[1:]
    return ops.reshape(ops.cast(features, "float32"), (-1, height * width, channels))


def attention(features: Tensor, *, exponent: int) -> Tensor:
    """(B, H, W, C) to (B, H*W): mean_c features^exponent, scaled to a unit vector over places.

    It is large where the map is active. An odd exponent keeps signs.

    Args:
        features: (B, H, W, C) float.
        exponent: power of each entry, >= 1.
    """
    return vectors.unit(ops.mean(ops.power(by_position(features), exponent), axis=-1))
