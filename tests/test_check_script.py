"""scripts/check.sh runs the tests of what changed, and fails where there are none."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def repository(tmp_path):
    """change({path: text}) writes files to a small repository and gives what check.sh lists."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    files = {
        "kd_keras/job/fit.py": "from kd_keras.job.parts import decay\n",
        "kd_keras/job/parts/decay.py": "",
        "kd_keras/job/loop.py": "",
        "kd_keras/cli/show.py": "",
        "kd_keras/lonely/alone.py": "",
        "docs/guide.md": "",
        "LICENSE": "",
        "tests/job/test_fit.py": "",
        "tests/job/test_fit_long.py": "",
        "tests/job/parts/test_other.py": "",
        "tests/job/test_fitness.py": "from kd_keras.job import loop\n",
        "tests/cli/test_words.py": "",
        "tests/cli/on_two.py": "",
        "tests/cli/test_two.py": "PROGRAM = 'on_two.py'\nPAGE = 'docs/guide.md'\n",
    }

    def git(*arguments):
        identity = {
            f"GIT_{who}_{what}": "a@b"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True, env=os.environ | identity)

    def write(texts):
        for path, text in texts.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)

    def change(texts):
        write(texts)
        command = ["bash", "scripts/check.sh", "--list"]
        environment = os.environ | {"PYTHON": sys.executable}
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )

    write(files)
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "all")
    return change


@pytest.mark.parametrize(
    ("file", "tests"),
    [
        ("kd_keras/job/fit.py", ["tests/job/test_fit.py", "tests/job/test_fit_long.py"]),
        ("kd_keras/job/loop.py", ["tests/job/test_fitness.py"]),  # which imports it
        (
            "kd_keras/job/parts/decay.py",
            [
                "tests/job/parts/test_other.py",
                "tests/job/test_fit.py",
                "tests/job/test_fit_long.py",
            ],
        ),  # its package, and fit.py, which imports it
        (
            "kd_keras/cli/show.py",
            ["tests/cli/test_two.py", "tests/cli/test_words.py"],
        ),  # its package
        ("tests/cli/test_words.py", ["tests/cli/test_words.py"]),
        ("tests/cli/on_two.py", ["tests/cli/test_two.py"]),
        ("tests/cli/conftest.py", ["tests/cli/test_two.py", "tests/cli/test_words.py"]),
        ("docs/guide.md", ["tests/cli/test_two.py"]),
        ("LICENSE", []),
    ],
)
def test_the_tests_of_a_changed_file_run(repository, file, tests):
    result = repository({file: "# changed\n"})
    assert (result.returncode, result.stdout.split()) == (0, tests), result.stderr


@pytest.mark.parametrize("file", ["kd_keras/lonely/alone.py", "kd_keras/lonely/new.py"])
def test_a_module_without_a_test_fails(repository, file):
    result = repository({file: "x = 1\n", "kd_keras/job/fit.py": "x = 1\n"})
    assert result.returncode == 1
    name = Path(file).stem
    assert f"{file} has no test. Add tests/lonely/test_{name}.py." in result.stderr


def test_every_module_here_has_a_test_and_the_readers_exist():
    spec = importlib.util.spec_from_file_location(
        "changed_tests", ROOT / "scripts/changed_tests.py"
    )
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    files = [path.relative_to(ROOT).as_posix() for path in (ROOT / "kd_keras").rglob("*.py")]
    assert [file for file in files if not script.tests_of(file)] == []
    for glob, tests in script.READERS.items():
        assert list(ROOT.glob(glob)), glob
        assert all((ROOT / test).is_file() for test in tests)
