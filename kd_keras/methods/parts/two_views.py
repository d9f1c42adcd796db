"""What methods share that read logits of two views of each image, at several temperatures."""

from collections.abc import Sequence

from kd_keras import check
from kd_keras.methods.base import Outputs, Tensor


def logits(student: Outputs, teacher: Outputs) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The student's logits of the first and the second view, then the teacher's.

    Args:
        student, teacher: outputs by name, with `logits` and `logits_view2`, (B, C) each.
    """
    student_views = student["logits"], student["logits_view2"]
    return *student_views, teacher["logits"], teacher["logits_view2"]


def temperatures(
    knob: str, values: Sequence[float], *, count: int | None = None, expected: str, example: str
) -> tuple[float, ...]:
    """The softmax temperatures that a knob holds, checked.

    Args:
        knob: the knob's name.
        values: what was given.
        count: how many there must be; None takes one or more.
        expected: that number in words.
        example: values that are right.

    Raises:
        ValueError: no sequence, or one of another length, or a number that is not above 0.
    """
    is_sequence = isinstance(values, (tuple, list))
    if not is_sequence or not values or count not in (None, len(values)):
        raise ValueError(
            f"{knob} is {values!r}; expected {expected} numbers > 0, such as {example}. Leave it "
            "out to use these."
        )
    return tuple(check.number(f"each of {knob}", value, above=0) for value in values)
