"""Equal numbers of channels in both models, for methods that compare channels one by one."""

from typing import Any

from keras import layers

from kd_keras.methods.base import Outputs, Shapes, Tensor
from kd_keras.methods.parts import maps
from kd_keras.methods.parts.tap_pairs import TapPairs


class ProjectedMaps(TapPairs):
    """Reads feature maps of equal channels; trained 1x1 convolutions may make them equal.

    Attributes:
        project: whether a convolution of the student's map may make channels equal.
        projections: for each tap None if channels are equal, else a convolution without bias.
    """

    project: bool

    def build(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        """Makes the convolutions.

        Raises:
            ValueError: channels differ without `project`, or a tap is not a feature map.
        """
        self.projections: list[Any] = []
        shapes = self.map_shapes(student_shape, teacher_shape)
        for tap, (student, teacher) in zip(self.student_taps, shapes, strict=True):
            has_equal_channels = student[-1] == teacher[-1]
            if not has_equal_channels and not self.project:
                raise ValueError(
                    f"{self.name}: at the student's tap {tap!r} the student has {student[-1]} "
                    f"channels, the teacher {teacher[-1]}; expected equal numbers. Choose other "
                    "taps or models, or set project=True, which adds a trained 1x1 convolution."
                )
            self.projections.append(
                None if has_equal_channels else _convolution(student, teacher[-1])
            )

    def projected_maps(
        self, student: Outputs, teacher: Outputs
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The student's maps after the convolutions, and the teacher's, shallow to deep."""
        student_maps, teacher_maps = maps.tapped(self, student, teacher)
        pairs = zip(self.projections, student_maps, strict=True)
        student_maps = [f if convolution is None else convolution(f) for convolution, f in pairs]
        return student_maps, teacher_maps


def require_neighbours(method: TapPairs) -> None:
    """Raises ValueError for a single tap: the formula relates each tap to the next."""
    if len(method.student_taps) < 2:
        raise ValueError(
            f"{method.name}: taps are {method.student_taps}; expected at least two, since each is "
            "compared with the next. Name more taps, shallow to deep."
        )


def _convolution(shape: tuple[Any, ...], channels: int) -> layers.Layer:
    convolution = layers.Conv2D(channels, 1, use_bias=False, dtype="float32")
    convolution.build(shape)
    return convolution
