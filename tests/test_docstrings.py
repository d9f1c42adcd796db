"""The arguments that docstrings list are those that functions take."""

import ast
import inspect
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "kd_keras"
FILES = sorted(PACKAGE.rglob("*.py"))


def arguments_of(node):
    """Names that a function takes, or a class's `__init__`; None where they cannot be known."""
    if isinstance(node, ast.ClassDef):
        inits = [n for n in node.body if getattr(n, "name", "") == "__init__"]
        if not inits:
            return None  # of a dataclass, or inherited
        (node,) = inits
    takes = node.args
    if takes.kwarg:
        return None  # the others are there
    return {a.arg for a in [*takes.posonlyargs, *takes.args, *takes.kwonlyargs, takes.vararg] if a}


def documented(docstring):
    """Names in the section Args, which stand four columns further in than its heading."""
    section = re.search(r"^Args:\n((?:    .*\n|\n)*)", f"{inspect.cleandoc(docstring)}\n", re.M)
    lines = re.findall(r"^    ([a-z_0-9*, ]+): ", section[1] if section else "", re.M)
    return [name.strip(" *") for line in lines for name in line.split(",")]


def test_a_name_that_is_no_argument_is_seen():
    tree = ast.parse('def f(a, *, b):\n    """One.\n\n    Args:\n        a, c: two.\n    """')
    assert documented(ast.get_docstring(tree.body[0])) == ["a", "c"]
    assert arguments_of(tree.body[0]) == {"a", "b"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_documented_arguments_are_taken(path):
    wrong = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            takes = arguments_of(node)
            names = documented(ast.get_docstring(node) or "")
            if takes is not None:
                wrong += [f"{node.name}: {name}" for name in names if name not in takes]
    assert not wrong
