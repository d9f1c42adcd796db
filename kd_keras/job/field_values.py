"""How a recipe's values are read from text, and what is said of a value that does not fit."""

import re
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from kd_keras import check
from kd_keras.job import spec

_NONE = ("none", ("none",), ["none"])
_LISTS = {
    "method": "specs, 'none' alone",
    "teacher": "one spec or more",
    "student": "one spec or more",
    "assistants": "specs",
    "teacher_weights": "numbers >= 0",
}


def form(field: FieldInfo) -> tuple[type, tuple[str, ...], bool]:
    """A field's type, its choices (empty if free) and whether it may be none."""
    annotation: Any = field.annotation
    optional = type(None) in get_args(annotation)
    if optional:
        (annotation,) = set(get_args(annotation)) - {type(None)}
    if get_origin(annotation) is Literal:
        return str, get_args(annotation), optional
    return get_origin(annotation) or annotation, (), optional


def parsed(name: str, field: FieldInfo, value: Any) -> Any:
    """The value that text spells, for a field that is not text itself; other values as they are.

    Raises:
        ValueError: none where none is not allowed, an unknown choice, a truth value for a number.
    """
    kind, choices, optional = form(field)
    if optional and value in (None, *_NONE):
        return None
    if choices:
        return check.one_of(name, value, [*choices, *(["none"] if optional else [])])
    if kind is tuple:
        if not isinstance(value, (str, list, tuple)):
            raise ValueError(refusal(name, field, value))
        items = [value] if isinstance(value, str) else list(value)
        return _READ_LIST.get(name, _words)(items)
    if isinstance(value, str):
        value = value if kind is str else spec.value(value)
    if isinstance(value, bool) is not (kind is bool):
        raise ValueError(refusal(name, field, value))
    return value


def refusal(name: str, field: FieldInfo, value: Any) -> str:
    """The message for a value of the wrong type or out of range."""
    kind, _, optional = form(field)
    words = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        tuple: _LISTS.get(name, "names"),
    }
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
    bounds = [
        f"{s} {getattr(m, b)}" for m in field.metadata for b, s in signs.items() if hasattr(m, b)
    ]
    expected = " ".join([words.get(kind, "text"), " and ".join(bounds)]).strip()
    return (
        f"{name} is {value!r}; expected {expected}{' or none' if optional else ''} "
        f"({field.description}). Change it in the recipe or by --set {name}=..."
    )


def _whole(items: list[Any]) -> tuple[Any, ...]:
    """Each item is one value: a path may have a space."""
    return tuple(items)


def _words(items: list[Any]) -> tuple[Any, ...]:
    """Items may be several words with spaces between."""
    parts = [item.split() if isinstance(item, str) else [item] for item in items]
    return tuple(part for group in parts for part in group)


def _words_or_none(items: list[Any]) -> tuple[Any, ...]:
    return () if items == ["none"] else _words(items)


def _numbers(items: list[Any]) -> tuple[Any, ...]:
    """Items may be several numbers with commas or spaces between."""
    parts = [re.split(r"[,\s]+", i.strip()) if isinstance(i, str) else [i] for i in items]
    flat = [part for group in parts for part in group if part != ""]
    return tuple(spec.value(part) if isinstance(part, str) else part for part in flat)


_READ_LIST: dict[str, Callable[[list[Any]], tuple[Any, ...]]] = {
    "teacher": _whole,
    "student": _whole,
    "assistants": _words_or_none,
    "imports": _words_or_none,
    "teacher_weights": _numbers,
}
