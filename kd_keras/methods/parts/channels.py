"""Equal numbers of channels in both models, for methods that compare channels one by one."""

from typing import Any

from keras import layers

from kd_keras.methods.base import Shapes, Tensor
from kd_keras.methods.parts.tap_pairs import TapPairs


def require_neighbours(method: TapPairs) -> None:
    """Raises ValueError for a single tap: the formula relates each tap to the next."""
    if len(method.student_taps) < 2:
        raise ValueError(
            f"{method.name}: taps are {method.student_taps}; expected at least two, since each is "
            "compared with the next. Name more taps, shallow to deep."
        )


def projections(
    method: TapPairs, student_shape: Shapes, teacher_shape: Shapes, *, allowed: bool
) -> list[Any]:
    """For each tap: None if channels are equal, otherwise a 1x1 convolution without bias.

    Raises:
        ValueError: channels differ and projections are not allowed, or a tap is not a feature map.
    """
    convolutions: list[Any] = []
    shapes = method.map_shapes(student_shape, teacher_shape)
    for tap, (student, teacher) in zip(method.student_taps, shapes, strict=True):
        if student[-1] != teacher[-1] and not allowed:
            raise ValueError(
                f"{method.name}: at the student's tap {tap!r} the student has {student[-1]} "
                f"channels, the teacher {teacher[-1]}; expected equal numbers. Choose other taps "
                "or models, or set project=True, which adds a trained 1x1 convolution."
            )
        equal = student[-1] == teacher[-1]
        convolutions.append(None if equal else _convolution(student, teacher[-1]))
    return convolutions


def projected(convolutions: list[Any], features: list[Tensor]) -> list[Tensor]:
    """The features after the convolutions of `projections`."""
    return [
        f if convolution is None else convolution(f)
        for convolution, f in zip(convolutions, features, strict=True)
    ]


def _convolution(shape: tuple[Any, ...], channels: int) -> layers.Layer:
    convolution = layers.Conv2D(channels, 1, use_bias=False, dtype="float32")
    convolution.build(shape)
    return convolution
