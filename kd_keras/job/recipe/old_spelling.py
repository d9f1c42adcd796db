"""Spellings of an earlier version that are still read, with a warning, for one minor release."""

import re
import warnings
from collections.abc import Mapping
from typing import Any

from kd_keras import methods
from kd_keras.job.recipe import spec

#: A recipe's fields by the names that they had.
FIELDS = {
    "labels": "label_mode",
    "select": "validate_on_holdout",
    "teacher_classes": "teacher_class_names",
    "teacher_weights": "ensemble_weights",
}
#: Models and built-in recipes by the names that they had.
MODELS = {"seed_teacher": "plain_cnn12", "seed_student": "plain_cnn4"}
RECIPES = {"seed": "plain_cnn"}


class OldSpellingWarning(FutureWarning):
    """Something is written as in an earlier version; the next minor release refuses it."""


def warn(text: str) -> None:
    """Warns of an old spelling; `text` says what was written and what to write instead."""
    warnings.warn(
        f"{text} The next minor release refuses the old form.", OldSpellingWarning, stacklevel=3
    )


def renamed_recipe(name: str) -> str:
    """The present name of a built-in recipe; warns of an old one."""
    if name not in RECIPES:
        return name
    warn(f"The recipe {name} has a new name. Write {RECIPES[name]}.")
    return RECIPES[name]


def renamed_model(text: str) -> str:
    """The spec of a model under its present name; warns of an old name."""
    new_text = _with_name(text, MODELS)
    if new_text != text:
        warn(f"The model {text!r} has a new name. Write {new_text!r}.")
    return new_text


def present_provenance(entries: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a run's provenance.json with the present names of fields and models."""

    def present(name: str, value: Any) -> Any:
        if name not in ("teacher", "student", "assistants"):
            return value
        if isinstance(value, str):
            return _with_name(value, MODELS)
        return [_with_name(text, MODELS) for text in value]

    return {FIELDS.get(name, name): present(name, value) for name, value in entries.items()}


def renamed_knobs(text: str) -> str:
    """The spec of a method with each knob under its present name; warns of old names."""
    new_text = _with_knobs(text, methods.old_knobs(spec.parse(text)[0]))
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


def earlier_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a recipe with the names of fields, models and knobs of the earlier version."""
    models = {new: old for old, new in MODELS.items()}
    names = {new: old for old, new in FIELDS.items()}

    def earlier(name: str, value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [earlier(name, item) for item in value]
        if name in ("teacher", "student", "assistants"):
            return _with_name(value, models)
        if name == "method":
            old_knobs = methods.old_knobs(spec.parse(value)[0])
            return _with_knobs(value, {new: old for old, new in old_knobs.items()})
        return value

    return {names.get(name, name): earlier(name, value) for name, value in fields.items()}


def _with_name(text: str, new_names: Mapping[str, str]) -> str:
    """The spec with its name replaced, if it is one of these."""
    name, _ = spec.parse(text)
    return new_names.get(name, name) + text[len(name) :]


def _with_knobs(text: str, new_names: Mapping[str, str]) -> str:
    """The spec with the names of these knobs replaced."""
    for name, new_name in new_names.items():
        text = re.sub(rf"(?<=[:,]){name}=", f"{new_name}=", text)
    return text
