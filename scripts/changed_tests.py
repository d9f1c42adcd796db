"""Prints the tests of the files that differ from the last commit, one path a line.

    python scripts/changed_tests.py

A module's tests are tests/<package>/test_<name>.py and test_<name>_*.py. Without these they are
the tests that import it; without these, all tests of its package and those of the modules that
import it. A module without any test is an error.
Other files have the tests that read them.
"""

import ast
import fnmatch
import functools
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parent.parent
# Tests that read all files of a folder, without their names.
READERS = {
    "docs/methods/*": ["tests/test_method_pages.py"],
    "docs/*.json": [
        "tests/test_method_pages.py",
        "tests/test_result_tables.py",
        "tests/test_trust_figures.py",
    ],
    "tests/parity/*.npz": ["tests/parity/test_goldens.py"],
}


def main() -> None:
    tests: set[str] = set()
    missing = []
    for file in changed():
        file_tests = tests_of(file)
        tests.update(file_tests)
        if not file_tests and is_module(file) and (ROOT / file).is_file():
            missing.append(file)
    for file in missing:
        test = folder_of(file) / f"test_{name_of(file)}.py"
        print(f"{file} has no test. Add {test}.", file=sys.stderr)
    if missing:
        sys.exit(1)
    print("\n".join(sorted(tests)))


def changed() -> list[str]:
    """Files that differ from the last commit, with new and deleted ones, as paths below ROOT."""
    commands = (
        ["git", "diff", "--name-only", "--no-renames", "--relative", "HEAD"],
        ["git", "ls-files", "--others", "--exclude-standard"],
    )
    lines = [subprocess.check_output(command, cwd=ROOT, text=True) for command in commands]
    return sorted(set("".join(lines).splitlines()))


def tests_of(file: str) -> list[str]:
    """Paths of the tests to run after a change of one file; deleted tests are left out."""
    path = Path(file)
    if path.parts[0] == "tests":
        if path.match("test_*.py"):
            return [file] if (ROOT / file).is_file() else []
        shared = path.name == "conftest.py"  # by all tests of the folder
        return ([] if shared else reading(file)) or everything_in(path.parent)
    if is_module(file):
        return own(file) or sorted({*of_users(file), *package_tests(path)})
    return (package_tests(path) if path.parts[0] == "kd_keras" else []) or reading(file)


def is_module(file: str) -> bool:
    return file.startswith("kd_keras/") and file.endswith(".py")


def own(file: str) -> list[str]:
    """The tests of a module itself; empty if there are none."""
    return mirrored(file) or importing(file)


def mirrored(file: str) -> list[str]:
    """Tests whose names hold the module's, alone or after its package's (test_cli_list.py)."""
    name, folder = name_of(file), folder_of(file)
    if is_package(file):
        patterns = [f"test_{name}.py"]
    else:
        names = (name, f"{folder.name}_{name}")
        patterns = [f"test_{stem}{end}.py" for stem in names for end in ("", "_*")]
    return relative(path for pattern in patterns for path in (ROOT / folder).glob(pattern))


def is_package(file: str) -> bool:
    return Path(file).stem in ("__init__", "__main__")


def name_of(file: str) -> str:
    """A module's name; for __init__ and __main__ that of the package."""
    return Path(file).parent.name if is_package(file) else Path(file).stem


def folder_of(file: str) -> Path:
    return Path("tests", *Path(file).parts[1:-1])


def importing(file: str) -> list[str]:
    """Tests that import a module."""
    return relative(path for path, text in texts().items() if dotted(file) in imported(text))


def of_users(file: str) -> list[str]:
    """The own tests of the modules that import a module."""
    modules = {path: path.read_text("utf-8") for path in (ROOT / "kd_keras").rglob("*.py")}
    users = relative(path for path, text in modules.items() if dotted(file) in imported(text))
    return sorted({test for user in users for test in own(user)})


def dotted(file: str) -> str:
    """A module's name for `import`."""
    return ".".join(Path(file).with_suffix("").parts).removesuffix(".__init__")


@functools.cache
def imported(text: str) -> set[str]:
    """Dotted names of what a file imports, also within a program that it holds as a string."""
    names = set(re.findall(r"kd_keras(?:\.\w+)+", text))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def reading(file: str) -> list[str]:
    """Tests that READERS has for a file; otherwise those that name it."""
    listed = [tests for glob, tests in READERS.items() if fnmatch.fnmatch(file, glob)]
    if listed:
        return sorted(set().union(*listed))
    path = Path(file)
    name = re.compile(rf"\b{re.escape(path.stem if path.parts[0] == 'tests' else path.name)}\b")
    return relative(path for path, text in texts().items() if name.search(text))


def package_tests(path: Path) -> list[str]:
    """All tests of the package, or of the folder in it, that a file of kd_keras/ lies in."""
    folders = [Path("tests", *path.parts[1:end]) for end in range(len(path.parts) - 1, 1, -1)]
    return next((tests for folder in folders if (tests := everything_in(folder))), [])


def everything_in(folder: Path) -> list[str]:
    return relative((ROOT / folder).rglob("test_*.py"))


@functools.cache
def texts() -> dict[Path, str]:
    return {path: path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py")}


def relative(paths: Iterable[Path]) -> list[str]:
    return sorted({path.relative_to(ROOT).as_posix() for path in paths})


if __name__ == "__main__":
    main()
