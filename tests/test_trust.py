"""What SECURITY.md promises about files of unknown origin, looked up in the source code."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "kd_keras"
_RUN_CODE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml"}


def nodes():
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Call, ast.Import, ast.ImportFrom)):
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", node


def name(function):
    """(object, name) of a called function, such as ("np", "load"); "" for what has none."""
    owner = getattr(function, "value", None)
    return getattr(owner, "id", ""), getattr(function, "attr", getattr(function, "id", ""))


def test_nothing_unpickles_evaluates_extracts_or_turns_the_safe_mode_off():
    loads = 0
    for place, node in nodes():
        if isinstance(node, ast.Import):
            assert not _RUN_CODE & {part.name.partition(".")[0] for part in node.names}, place
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").partition(".")[0] not in _RUN_CODE, place
        else:
            owner, function = name(node.func)
            options = {option.arg: option.value for option in node.keywords}
            if (owner, function) == ("np", "load"):
                loads += 1
                assert getattr(options.get("allow_pickle"), "value", None) is False, place
            plain = isinstance(node.func, ast.Name)
            assert not (plain and function in ("eval", "exec", "compile")), place
            assert function not in ("extractall", "enable_unsafe_deserialization"), place
            assert getattr(options.get("safe_mode"), "value", True) is True, place
    assert loads > 3
