"""Distillation methods: one file per paper. A method's name is the name of its file.

To add a method, write `methods/<name>.py` with one `Method` subclass, and its test.
`scripts/method_pages.py` writes its page.
"""

import ast
import importlib
import textwrap
from pathlib import Path
from typing import Any

from kd_keras import check
from kd_keras.graph import quiet_import

#: What the student matches: the teacher's logits; its features; relations between examples,
#: channels or layers; answers of peers or its own, without a trained teacher; what a teacher says
#: in place of labels, a decision or an embedding.
FAMILIES = ("logits", "features", "relations", "online", "label-free")
_NOT_METHODS = {"__init__", "base"}  # the folder parts/ holds what methods share


def names() -> tuple[str, ...]:
    """Names of all methods, sorted; imports no method."""
    return tuple(sorted(name for name in _files() if name not in _NOT_METHODS))


def describe(name: str) -> str:
    """The method's idea in one line; imports no method."""
    return explain(name).splitlines()[0]


def family(name: str) -> str:
    """The method's family, one of `FAMILIES`; imports no method."""
    check.one_of("method", name, names(), remedy="Run `kdk list methods`.")
    module = ast.parse(_files()[name].read_text(encoding="utf-8"))
    return _literal(module, "family") or FAMILIES[0]


def explain(name: str) -> str:
    """The method's idea, formula, source, defaults and needs, and how it departs from its paper.

    This is the docstring of its module and the `departures` of its class, read without an import.
    """
    check.one_of("method", name, names(), remedy="Run `kdk list methods`.")
    module = ast.parse(_files()[name].read_text(encoding="utf-8"))
    account = ast.get_docstring(module) or ""
    departures = _literal(module, "departures")
    return (
        f"{account}\n\n{textwrap.fill(f'Departures: {departures}', 100)}" if departures else account
    )


def get(name: str, /, **knobs: Any) -> Any:
    """Makes the method called `name`.

    Args:
        name: one of `names()`.
        **knobs: values of the method's knobs (its class documents them); a knob that is left out
            has its default.

    Returns:
        A `Method` for `Distiller(student, teacher=..., methods=...)`.

    Raises:
        ValueError: unknown method or knob (the message names the nearest), or a value out of range.
    """
    cls = _method_class(name)
    for knob in knobs:
        check.one_of(f"knob of method {name!r}", knob, cls.knobs())
    return cls(**knobs)


def knobs(name: str) -> tuple[str, ...]:
    """Names of the knobs of the method called `name`."""
    return tuple(_method_class(name).knobs())


def old_knobs(name: str) -> dict[str, str]:
    """Present names of knobs of `name` by the names that they had; imports no method.

    Empty for what is not the name of a method.
    """
    if name not in names():
        return {}
    module = ast.parse(_files()[name].read_text(encoding="utf-8"))
    return dict(_literal(module, "old_knobs") or ())


def min_classes(name: str) -> int:
    """Smallest number of classes for which the method called `name` is defined."""
    smallest: int = _method_class(name).min_classes
    return smallest


def supports_multi_label(name: str) -> bool:
    """Whether the method called `name` takes examples of several classes."""
    supports: bool = _method_class(name).supports_multi_label
    return supports


def _literal(module: ast.Module, attribute: str) -> Any:
    """The value of an attribute in the body of one of the module's classes; None without."""
    bodies = [node.body for node in module.body if isinstance(node, ast.ClassDef)]
    values = (
        ast.literal_eval(line.value)
        for body in bodies
        for line in body
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == attribute
    )
    return next(values, None)


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
