"""What the methods of a Distiller need together: logits, labels, views of an image, taps."""

from collections.abc import Iterable, Sequence
from typing import Any

from kd_keras.methods.base import Method


def logit_users(methods: Sequence[Method]) -> list[str]:
    """Names of the methods that read a teacher's logits."""
    return [m.name for m in methods if m.reads_teacher_logits and not m.teacher_free]


def label_users(methods: Sequence[Method], *, multi_label: bool = False) -> tuple[str, ...]:
    """Names of the methods that need the label of every example; without methods, the training.

    With `multi_label`, the training too: the shape of labels that are not there is unknown.

    Args:
        methods: the Distiller's methods.
        multi_label: whether an example may have several classes.
    """
    names = tuple(method.name for method in methods if method.needs_labels)
    if multi_label:
        return (*names, "multi-label training")
    return names if methods else ("training without a method",)


def views_per_image(methods: Sequence[Method]) -> int:
    """Number of augmented views of each image that a batch needs for all of the methods."""
    return max((method.views_per_image for method in methods), default=1)


def deploy_student(methods: Sequence[Method]) -> bool:
    """Whether the student itself is deployed: no method makes a different model of it."""
    return all(type(method).deployed is Method.deployed for method in methods)


def as_methods(methods: Any) -> tuple[Method, ...]:
    """A tuple of one method, several, or none, which None stands for too.

    Raises:
        ValueError: an entry is not a method, or needs more than two views of an image.
    """
    if methods is None:
        return ()
    is_one = isinstance(methods, (Method, str)) or not isinstance(methods, Iterable)
    entries: list[Any] = [methods] if is_one else list(methods)
    for method in entries:
        if not isinstance(method, Method):
            raise ValueError(
                f"methods contain {method!r}; expected Method objects. Make one with "
                "kd_keras.methods.get('kd')."
            )
        if method.views_per_image not in (1, 2):
            raise ValueError(
                f"{method.name}: views_per_image is {method.views_per_image!r}; expected 1 or 2. "
                f"Set it in the class {type(method).__name__}."
            )
    return tuple(entries)


def taps_of(side: str, methods: Sequence[Method]) -> tuple[str, ...]:
    """Names of the taps that methods read, each once; `side` is "student" or "teacher".

    Args:
        side: "student" or "teacher".
        methods: the Distiller's methods.
    """
    return tuple(dict.fromkeys(tap for m in methods for tap in getattr(m, f"{side}_taps")))
