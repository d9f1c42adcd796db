"""Base class of the methods that compare several feature maps of the two models, in pairs."""

from collections.abc import Sequence
from typing import Any, Unpack

from kd_keras import check
from kd_keras.methods.base import CommonKnobs, Method, Shapes, Tensor
from kd_keras.methods.parts import alignment

STAGES = ("stage1", "stage2", "stage3")
Taps = str | Sequence[str]


class TapPairsKnobs(CommonKnobs, total=False):
    """Knobs of every method that reads several taps, see `TapPairs`."""

    taps: Taps | None
    student_taps: Taps | None
    teacher_taps: Taps | None


class TapPairs(Method):
    """Names the taps of each model, shallow to deep, and checks their shapes.

    Args:
        taps: names of the features in both models, as a sequence, or as text joined by "+"; None:
            `default_taps`.
        student_taps, teacher_taps: names in one model, where they differ from `taps`; None:
            `taps`, or if that is None too, `default_teacher_taps` for the teacher.
        common: `weight`, `ce_weight`, `warmup`, `name`, see `Method`.
    """

    default_taps: tuple[str, ...] = STAGES
    default_teacher_taps: tuple[str, ...] | None = None

    def __init__(
        self,
        *,
        taps: Taps | None = None,
        student_taps: Taps | None = None,
        teacher_taps: Taps | None = None,
        **common: Unpack[CommonKnobs],
    ):
        super().__init__(**common)
        if taps is None:
            taps = self.default_taps
            teacher_taps = self.default_teacher_taps if teacher_taps is None else teacher_taps
        self.taps = names(taps)
        self._student_taps = names(taps if student_taps is None else student_taps)
        self._teacher_taps = names(taps if teacher_taps is None else teacher_taps)
        knobs = {"taps": self.taps, "student_taps": self._student_taps}
        for knob, tap_names in (knobs | {"teacher_taps": self._teacher_taps}).items():
            for tap in tap_names:
                check.text(f"one of {knob}", tap, remedy="Name layers: stage1+stage2.")
        if not self._student_taps or len(self._student_taps) != len(self._teacher_taps):
            raise ValueError(
                f"the student's taps are {self._student_taps}, the teacher's "
                f"{self._teacher_taps}; expected as many of each, and at least one. "
                "Name them in pairs, shallow to deep."
            )

    @property
    def student_taps(self) -> tuple[str, ...]:
        return self._student_taps

    @property
    def teacher_taps(self) -> tuple[str, ...]:
        return self._teacher_taps

    def map_shapes(
        self, student_shape: Shapes, teacher_shape: Shapes
    ) -> list[tuple[tuple[Any, ...], tuple[Any, ...]]]:
        """The shapes of each pair, both (B, H, W, C); raises ValueError for any other rank."""
        pairs = []
        for student_tap, teacher_tap in zip(self.student_taps, self.teacher_taps, strict=True):
            student, teacher = student_shape[student_tap], teacher_shape[teacher_tap]
            require_map(self.name, "student", student_tap, student)
            require_map(self.name, "teacher", teacher_tap, teacher)
            pairs.append((student, teacher))
        return pairs


def require_map(method: str, side: str, tap: str, shape: tuple[Any, ...]) -> None:
    """Raises ValueError unless a tap gives a feature map of known size.

    Args:
        method: the method's name, for the message.
        side: "student" or "teacher".
        tap: name of the feature.
        shape: its shape, batch axis as None.
    """
    if len(shape) != 4 or None in shape[1:]:
        raise ValueError(
            f"{method}: the {side}'s tap {tap!r} has shape {tuple(shape)}; expected a feature map "
            "(B, H, W, C) of known size. Choose another tap, such as 'stage2', or give the model "
            "inputs of a fixed size."
        )


def require_known(method: str, side: str, tap: str, shape: tuple[Any, ...]) -> None:
    """Raises ValueError if a feature's size is unknown, so that it cannot be flattened.

    Args:
        method, side, tap, shape: as for `require_map`.
    """
    if None in shape[1:]:
        raise ValueError(
            f"{method}: the {side}'s tap {tap!r} has shape {tuple(shape)}; expected a known size. "
            "Choose a vector, such as 'pooled', or give the model inputs of a fixed size."
        )


def require_known_all(method: Method, student_shape: Shapes, teacher_shape: Shapes) -> None:
    """`require_known` for every tap of both models.

    Args:
        method: the method, with its taps.
        student_shape, teacher_shape: shape of each output by name.
    """
    sides = {"student": (method.student_taps, student_shape)}
    sides["teacher"] = (method.teacher_taps, teacher_shape)
    for side, (names, shapes) in sides.items():
        for tap in names:
            require_known(method.name, side, tap, shapes[tap])


def require_positions(
    method: str, tap: str, student: tuple[Any, ...], teacher: tuple[Any, ...]
) -> None:
    """Raises ValueError if two maps are pooled to one place: a unit vector over it is always 1.

    Args:
        method: the method's name, for the message.
        tap: name of the student's feature.
        student, teacher: shapes (None, H, W, C) of the two maps.
    """
    if alignment.smaller(student[1:3], teacher[1:3]) == (1, 1):
        raise ValueError(
            f"{method}: at the student's tap {tap!r} the maps have shapes {tuple(student)} and "
            f"{tuple(teacher)}, pooled to one place; expected two or more, for the method compares "
            "where features are active. Choose an earlier tap."
        )


def as_map_shape(shape: tuple[Any, ...]) -> tuple[Any, ...]:
    """The shape of the result of `as_map`."""
    return (shape[0], 1, 1, shape[1]) if len(shape) == 2 else tuple(shape)


def as_map(features: Tensor) -> Tensor:
    """Vectors (B, D) become maps (B, 1, 1, D); maps stay as they are."""
    return features[:, None, None, :] if len(features.shape) == 2 else features


def same_size(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Average-pools the larger of two (B, H, W, C) maps to the other's height and width.

    Args:
        first, second: maps of known height and width; channels may differ.
    """
    size = alignment.smaller(tuple(first.shape[1:3]), tuple(second.shape[1:3]))
    pool = alignment.adaptive_average_pool
    return pool(first, size), pool(second, size)


def names(taps: Taps) -> tuple[str, ...]:
    """Names of taps that are given as a sequence, or as text joined by "+"."""
    return tuple(taps.split("+")) if isinstance(taps, str) else tuple(_name_list(taps))


def _name_list(taps: Any) -> list[Any]:
    return list(taps) if isinstance(taps, Sequence) else [taps]
