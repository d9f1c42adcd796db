"""Docstrings list the arguments that functions take, and the errors that they raise."""

import ast
import builtins
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


def test_an_argument_described_without_a_noun_is_seen():
    assert without_noun("One.\n\nArgs:\n    a: of both.\n    b, c: size of both.\n") == ["a"]
    assert without_noun("One.\n\nAttributes:\n    a: of both.\n") == ["a"]


def without_noun(docstring):
    """Names of arguments and attributes whose text begins with "of ": it does not say what."""
    return re.findall(r"^ +([a-z_0-9*, ]+): of ", docstring, re.M)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_text_of_an_argument_begins_with_a_noun(path):
    nodes = ast.walk(ast.parse(path.read_text()))
    with_docstring = [n for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    wrong = {n.name: without_noun(ast.get_docstring(n) or "") for n in with_docstring}
    assert not {name: arguments for name, arguments in wrong.items() if arguments}


def raised_by(function):
    """Names of the errors that a function raises itself; "" where an expression makes one."""
    names, nodes = set(), list(function.body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Raise) and node.exc is not None:
            error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            name = error.id if isinstance(error, ast.Name) else getattr(error, "attr", "")
            names.add(name if name[:1].isupper() else "")
        if not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda):
            nodes += ast.iter_child_nodes(node)
    return names - {"NotImplementedError"}  # of a method that subclasses define


def names_error(docstring, error):
    """Whether a docstring names an error, or a class of it, or says that some error is raised."""
    kinds = getattr(builtins, error, None)
    names = [error, *(kind.__name__ for kind in getattr(kinds, "__mro__", ())[1:-3])]
    return re.search(rf"\b({'|'.join(names) or 'Raises'})\b", docstring) is not None


def classes_by_name(paths):
    trees = (ast.parse(path.read_text()) for path in paths)
    return {node.name: node for tree in trees for node in tree.body if type(node) is ast.ClassDef}


def docstrings_of(function, owner, classes):
    """A function's docstring, with those of its class and of the same method of its bases."""
    found, seen = [ast.get_docstring(function) or ""], set()
    while owner is not None and owner.name not in seen:  # `class Model(keras.Model)` ends it
        seen.add(owner.name)
        same = [n for n in owner.body if getattr(n, "name", "") == function.name]
        found += [ast.get_docstring(node) or "" for node in (owner, *same)]
        bases = [getattr(base, "id", getattr(base, "attr", "")) for base in owner.bases]
        owner = next((classes[base] for base in bases if base in classes), None)
    return "\n".join(found)


def public_functions(tree):
    """Functions that others call, each with its class or None; constructors among them."""
    for node in tree.body:
        owner = node if isinstance(node, ast.ClassDef) else None
        if owner is not None and owner.name.startswith("_"):
            continue
        for function in owner.body if owner else [node]:
            name = getattr(function, "name", "_")
            if type(function) is ast.FunctionDef and (name in CONSTRUCTORS or name[0] != "_"):
                yield function, owner


CONSTRUCTORS = ("__init__", "__post_init__")
CLASSES = classes_by_name(FILES)


def test_an_error_that_no_docstring_names_is_seen():
    tree = ast.parse(
        "class A:\n    def f(self):\n        raise FileNotFoundError(1)\n    def _g(self): raise\n"
    )
    ((function, owner),) = public_functions(tree)
    assert raised_by(function) == {"FileNotFoundError"}
    assert not names_error(docstrings_of(function, owner, {}), "FileNotFoundError")
    assert names_error("Raises:\n    OSError: no file.", "FileNotFoundError")
    assert not names_error("Raises:\n    OSError: no file.", "ValueError")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_raised_errors_are_documented(path):
    missing = []
    for function, owner in public_functions(ast.parse(path.read_text())):
        text = docstrings_of(function, owner, CLASSES)
        missing += [
            f"{owner.name + '.' if owner else ''}{function.name} (line {function.lineno}): {error}"
            for error in raised_by(function)
            if not names_error(text, error)
        ]
    assert not missing, "say in the docstring what is raised and when"
