"""Completions for the options of `kdk`; imports neither Keras nor TensorFlow."""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import click
from click.shell_completion import CompletionItem

from kd_keras import data, methods, models
from kd_keras.data import presets
from kd_keras.job.recipe import fields, recipe_files

_Complete: TypeAlias = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
_PREFIX = ":"  # a name that ends in it is followed by the user's text


def field_completion(name: str) -> _Complete | None:
    """The completion of a recipe's field; None for a field that takes any number or text."""
    if name == "method":
        return _completion(lambda: _names_with_help(methods))
    if name in ("teacher", "student", "assistants"):
        return _completion(
            lambda: [*_names_with_help(models), ("app:", "a model of keras.applications")], True
        )
    if name == "dataset":
        return _completion(lambda: [(_until_prefix(n), text) for n, text in _names_with_help(data)])
    if name == "augment":
        return _completion(lambda: [(preset, steps) for preset, steps in presets.PRESETS.items()])
    if name == "weights":
        return _completion(lambda: [("imagenet", ""), ("none", "random weights")], True)
    if name in ("data_dir", "teacher_class_names"):
        return _completion(lambda: [], True)
    _, choices, optional = fields.form(name)
    values = [*choices, *(["none"] if optional else [])]
    return _completion(lambda: [(value, "") for value in values]) if choices else None


def recipe_completion() -> _Complete:
    """Built-in names, else files."""
    return _completion(lambda: _names_with_help(recipe_files), True)


def run_completion() -> _Complete:
    """Folders of runs by name, else paths."""
    return _completion(
        lambda: [(p.parent.name, "") for p in recipe_files.RUNS.glob("*/recipe.json")], True
    )


def assignment_completion() -> _Complete:
    """FIELD= of every field of a recipe."""
    fields_by_name = fields.Recipe.model_fields.items()
    return _completion(
        lambda: [(f"{name}=", field.description or "") for name, field in fields_by_name]
    )


def _completion(pairs: Callable[[], Iterable[tuple[str, str]]], paths: bool = False) -> _Complete:
    """Completes from (value, help) pairs; with `paths`, from files if no pair fits."""

    def complete(
        ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        items = [
            CompletionItem(value, help=text or None)
            for value, text in sorted(pairs())
            if value.startswith(incomplete)
        ]
        return items or ([CompletionItem(incomplete, type="file")] if paths else [])

    return complete


def _names_with_help(module: Any) -> list[tuple[str, str]]:
    return [(name, module.describe(name)) for name in module.names()]


def _until_prefix(name: str) -> str:
    """ "folder:PATH" to "folder:"."""
    prefix, colon, _ = name.partition(_PREFIX)
    return prefix + colon
