"""docs/decisions.md lists the private names of other libraries that kd_keras uses, and where."""

import ast
import importlib.util
import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "kd_keras"
PRIVATE_MODULES = ("keras.src", "tensorflow.python")
PYTHON = {"_exit", "_getframe", "_replace"}  # documented, of os, sys and named tuples
# Attributes of classes of kd_keras that other classes of Keras have too.
OURS = {
    *("_build", "_channels_first", "_config", "_dtype", "_model", "_name", "_outputs", "_path"),
    *("_resize", "_run", "_save", "_size", "_softmax", "_start", "_step"),
}


def is_private(name):
    return bool(re.fullmatch(r"_[a-zA-Z]\w*", str(name)))


def names_of_keras():
    """Private methods and attributes in Keras's sources."""
    folder = Path(importlib.util.find_spec("keras").origin).parent / "src"
    pattern = re.compile(r"(?:def |self\.)(_[a-zA-Z]\w*)(?=\(|(?:: [^=\n]+)? = )")
    return {n for path in folder.rglob("*.py") for n in pattern.findall(path.read_text("utf-8"))}


def uses(tree):
    """(name, whether it is defined here) of all attributes, methods and private modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            is_own = getattr(node.value, "id", "") in ("self", "cls")
            yield node.attr, is_own and isinstance(node.ctx, ast.Store)
        elif isinstance(node, ast.ClassDef):
            for part in node.body:
                target = part.target if isinstance(part, ast.AnnAssign) else part
                targets = part.targets if isinstance(part, ast.Assign) else [target]
                yield from ((getattr(t, "id", getattr(t, "name", "")), True) for t in targets)
        elif isinstance(node, ast.Call):
            function = ast.unparse(node.func)
            is_name_of_attribute = function in ("getattr", "hasattr", "setattr")
            texts = node.args[is_name_of_attribute:][:1]
            if is_name_of_attribute or function.endswith("kwargs.get"):
                yield from ((text.value, False) for text in texts if hasattr(text, "value"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PRIVATE_MODULES):
            yield from ((f"{node.module}.{alias.name}", False) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((a.name, False) for a in node.names if a.name.startswith(PRIVATE_MODULES))


def foreign_names():
    """Each name that is not of kd_keras, with the files that use it."""
    files, own_names = defaultdict(set), set()
    for path in PACKAGE.rglob("*.py"):
        for name, is_own in uses(ast.parse(path.read_text("utf-8"))):
            if is_private(name) or str(name).startswith(PRIVATE_MODULES):
                files[name].add(path.relative_to(PACKAGE).as_posix())
                own_names |= {name} if is_own else set()
    ours = (own_names - names_of_keras()) | OURS | PYTHON
    return {name: places for name, places in files.items() if name not in ours}


def test_the_table_lists_every_private_name_and_its_files():
    text = (ROOT / "docs" / "decisions.md").read_text("utf-8")
    table = text.partition("## Private names")[2]
    rows = [row.split(" | ") for row in table.splitlines() if row.startswith("| `")]
    found = foreign_names()
    listed = {name: row for row in rows for name in re.findall(r"`([^`]+)`", row[0])}
    assert set(found) == set(listed), "change the table in docs/decisions.md, and say why"
    for names, _, places, *_ in rows:
        used = set().union(*(found[name] for name in re.findall(r"`([^`]+)`", names)))
        assert set(re.findall(r"`([^`]+)`", places)) == used, names


def test_private_names_are_found_in_every_form():
    code = "model._a\nlayer._b = 1\ngetattr(x, '_c', 1)\nkwargs.get('_d')\nself._own = 1\n"
    code += "from keras.src import _e\nfrom tensorflow.python.ops import f\nimport keras.src.g\n"
    code += "class A:\n  _own1 = 1\n  _own2: int = 2\n  def _own3(self): pass\n"
    found = set(uses(ast.parse(code)))
    assert {("_a", False), ("_b", False), ("_c", False), ("_d", False)} <= found
    modules = ("keras.src._e", "tensorflow.python.ops.f", "keras.src.g")
    assert {(module, False) for module in modules} <= found
    assert {("_own", True), ("_own1", True), ("_own2", True), ("_own3", True)} <= found
