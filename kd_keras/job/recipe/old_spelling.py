"""Spellings of an earlier version that are still read, with a warning, for one minor release."""

import re
import warnings
from collections.abc import Mapping
from typing import Any

from kd_keras import methods
from kd_keras.job.recipe import spec

#: A recipe's fields by the names that they had.
FIELDS = {"labels": "label_mode"}


class OldSpelling(FutureWarning):
    """Something is written as in an earlier version; the next minor release refuses it."""


def warn(text: str) -> None:
    """Warns of an old spelling; `text` says what was written and what to write instead."""
    warnings.warn(f"{text} The next minor release refuses the old form.", OldSpelling, stacklevel=3)


def renamed_knobs(text: str) -> str:
    """The spec of a method with each knob under its present name; warns of old names."""
    new_text = text
    for old, new in methods.OLD_KNOBS.get(spec.parse(text)[0], {}).items():
        new_text = re.sub(rf"(?<=[:,]){old}=", f"{new}=", new_text)
    if new_text != text:
        warn(f"The method {text!r} has knobs that have new names. Write {new_text!r}.")
    return new_text


def renamed_fields(fields: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a recipe, each under its present name.

    An old name is warned of, unless its value is the default: a `recipe.json` has every field.

    Args:
        fields: values by field, as someone wrote them.
        defaults: default values by present name.

    Raises:
        ValueError: a field is given under its old and its present name.
    """
    for old, new in FIELDS.items():
        if old in fields and new in fields:
            raise ValueError(
                f"{old} and {new} are both given; expected {new} alone, whose old name is {old}. "
                f"Remove {old}."
            )
    old_names = [name for name in fields if name in FIELDS]
    written = [name for name in old_names if fields[name] != defaults[FIELDS[name]]]
    if written:
        changes = ", ".join(f"{name} is {FIELDS[name]}" for name in written)
        warn(f"Fields of a recipe have new names: {changes}. Write the new ones.")
    return {FIELDS.get(name, name): value for name, value in fields.items()}
