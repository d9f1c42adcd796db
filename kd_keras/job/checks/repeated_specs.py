"""Refuses models and methods that a recipe names twice, of which the second adds nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from kd_keras.distill.step import log_names
from kd_keras.job import identity
from kd_keras.job.recipe import recipe_files
from kd_keras.job.recipe.recipe_files import Recipe


def check(recipe: Recipe, methods: Sequence[Any]) -> None:
    """Raises ValueError for a student, a teacher's file or a method that is named twice.

    A teacher's name may be repeated, since each gets a seed of its own, and so may an assistant's,
    since each learns from the one before.

    Args:
        recipe: the run's recipe.
        methods: the methods of `recipe.method`, in that order.
    """
    _require_different(
        "students",
        recipe.student,
        [_model_key(text) for text in recipe.student],
        "all start from the same weights. Remove one; for other weights, run it again with --seed",
    )
    teachers = [text for text in recipe.teacher if identity.is_file(text)]
    _require_different(
        "teachers",
        teachers,
        [_model_key(text) for text in teachers],
        "their mean is that of the file. Remove one; --ensemble-weights makes one count for more",
    )
    if recipe.each_method:
        keys = [keras.saving.serialize_keras_object(method) for method in methods]
        remedy = "all students start from the same weights. Remove one, or change a knob"
        _require_different("methods", recipe.method, keys, remedy)
    else:
        log_names.require_method_names([method.name for method in methods])


def _require_different(
    what: str, specs: Sequence[str], keys: Sequence[Any], reason_and_remedy: str
) -> None:
    for index, key in enumerate(keys):
        if key in keys[:index]:
            first, second = specs[keys.index(key)], specs[index]
            words = f"{first!r} twice" if first == second else f"{first!r} and {second!r}"
            same = "" if first == second else ", which are the same"
            raise ValueError(
                f"the {what} are {words}{same}; expected different ones, since {reason_and_remedy}."
            )


def _model_key(text: str) -> tuple[str, dict[str, Any]]:
    """What is equal for two specs of the same model, however they are written."""
    name, knobs = recipe_files.parse_spec(text)
    is_file = identity.is_file(text)
    return str(Path(name).expanduser().resolve()) if is_file else name, knobs
