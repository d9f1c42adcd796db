"""Parses a recipe's values from text, with a message for invalid values."""

import re
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from kd_keras import check
from kd_keras.job.recipe import old_spelling, spec

MAX_PASSES = 1_000_000  # over the data; a larger number is a slip of the finger
_NONE = ("none", ("none",), ["none"])
_LISTS = {
    "method": "specs, 'none' alone",
    "teacher": "one spec or more",
    "student": "one spec or more",
    "assistants": "specs",
    "freeze": "names of layers",
    "ensemble_weights": f"numbers from 0 to {check.LARGEST:g}",
    "unlabelled": "folder:PATH or tfds:NAME",
}
_ONE_MAY_HAVE_SPACES = ("teacher", "student", "unlabelled")  # paths
_MAY_BE_EMPTY = ("assistants", "freeze", "imports", "unlabelled")
_NUMBERS = ("ensemble_weights",)
_OPTIONS = {"imports": "--import"}  # the options of other fields are named like them


def form(field: FieldInfo) -> tuple[type, tuple[str, ...], bool]:
    """A field's type, its choices (empty if free) and whether it may be none."""
    annotation: Any = field.annotation
    optional = type(None) in get_args(annotation)
    if optional:
        (annotation,) = set(get_args(annotation)) - {type(None)}
    if get_origin(annotation) is Literal:
        return str, get_args(annotation), optional
    return get_origin(annotation) or annotation, (), optional


def option(name: str) -> str:
    """The command line's option of a field, such as "--batch-size" of `batch_size`."""
    return _OPTIONS.get(name, f"--{name.replace('_', '-')}")


def parse(name: str, field: FieldInfo, value: Any) -> Any:
    """Parses a text to the field's type; text fields and other values stay unchanged.

    Args:
        name: name of the field.
        field: its declaration in `Recipe`.
        value: what a user typed, or a value of a file.

    Raises:
        ValueError: none for a field that needs a value, an unknown choice, or a bool for a number.
    """
    value_type, choices, optional = form(field)
    if optional and value in (None, *_NONE):
        return None
    if choices:
        return check.one_of(name, value, [*choices, *(["none"] if optional else [])])
    if value_type is tuple:
        if not isinstance(value, (str, list, tuple)):
            raise ValueError(refusal(name, field, value))
        items = [value] if isinstance(value, str) else list(value)
        return _items(name, items)
    if isinstance(value, str):
        value = value if value_type is str else spec.value(value)
    if isinstance(value, bool) is not (value_type is bool):
        raise ValueError(refusal(name, field, value))
    return value


def refusal(name: str, field: FieldInfo, value: Any) -> str:
    """The message for a value of the wrong type or out of range.

    Args:
        name: name of the field.
        field: its declaration in `Recipe`.
        value: the wrong value.
    """
    value_type, _, optional = form(field)
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
    expected = " ".join([words.get(value_type, "text"), " and ".join(bounds)]).strip()
    return (
        f"{name} is {value!r}; expected {expected}{' or none' if optional else ''} "
        f"({field.description}). Change it in the recipe or by {option(name)}."
    )


def _items(name: str, items: list[Any]) -> tuple[Any, ...]:
    """The items of a list; an item of several words is an earlier version's spelling."""
    if name in _MAY_BE_EMPTY and items == ["none"]:
        return ()
    if name in _ONE_MAY_HAVE_SPACES:
        return tuple(items)
    separators = r"[,\s]+" if name in _NUMBERS else r"\s+"
    groups = [re.split(separators, i.strip()) if isinstance(i, str) else [i] for i in items]
    values = [value for group in groups for value in group if value != ""]
    if len(values) > len(items):
        old_spelling.warn(
            f"{name} is {', '.join(map(repr, items))}, several values in one text. Give the option "
            "again for each value (in Python or a file, a list)."
        )
    if name in _NUMBERS:
        return tuple(spec.value(value) if isinstance(value, str) else value for value in values)
    return tuple(values)
