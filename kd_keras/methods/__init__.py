"""Distillation methods: one paper a file, found by its file's name.

A new method is two files: `methods/<name>.py` with one `Method` subclass, and its test.
"""

import ast
import importlib
from pathlib import Path
from typing import Any

from kd_keras import check
from kd_keras.graph import quiet_import

_NOT_METHODS = {"__init__", "base"}  # what methods share lies in parts/


def names() -> tuple[str, ...]:
    """Every method's name, sorted; imports nothing."""
    return tuple(sorted(name for name in _files() if name not in _NOT_METHODS))


def describe(name: str) -> str:
    """The method in one line; imports nothing."""
    return explain(name).splitlines()[0]


def explain(name: str) -> str:
    """The method's own account: idea, formula, source, defaults, needs; imports nothing."""
    check.one_of("method", name, names(), remedy="Run `kdk list methods`.")
    return ast.get_docstring(ast.parse(_files()[name].read_text())) or ""


def get(name: str, /, **knobs: Any) -> Any:
    """Makes the method called `name`.

    Args:
        name: one of `names()`.
        **knobs: the method's settings (its class documents them); paper's defaults where left out.

    Returns:
        A `Method` to hand to `Distiller(student, teacher=..., methods=...)`.

    Raises:
        ValueError: unknown method or knob (with the nearest name), or a value out of range.
    """
    cls = _method_class(name)
    for knob in knobs:
        check.one_of(f"knob of method {name!r}", knob, cls.knobs())
    return cls(**knobs)


def knobs(name: str) -> tuple[str, ...]:
    """Names of the settings that the method called `name` takes."""
    return tuple(_method_class(name).knobs())


def min_classes(name: str) -> int:
    """The fewest classes for which the method called `name` is defined."""
    least: int = _method_class(name).min_classes
    return least


def _files() -> dict[str, Path]:
    return {file.stem: file for folder in __path__ for file in Path(folder).glob("*.py")}


def _method_class(name: str) -> Any:
    check.one_of("method", name, names(), remedy="Run `kdk list methods`.")
    quiet_import.import_keras()
    module = importlib.import_module(f"kd_keras.methods.{name}")
    base = importlib.import_module("kd_keras.methods.base")
    (cls,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, base.Method)
        and value.__module__ == module.__name__
    )
    return cls
