import errno
import io
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from kd_keras.cli import errors

PATH = "/a-long/path-with-hyphens/" + "x" * 40


def test_a_message_stays_one_line_in_a_file(monkeypatch):
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert errors.wrapped("kdk: " + "word " * 100) == "kdk: " + "word " * 100


def test_a_message_is_wrapped_in_a_terminal_with_paths_whole(monkeypatch):
    stream = io.StringIO()
    stream.isatty = lambda: True
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("COLUMNS", "30")
    lines = errors.wrapped(f"kdk: the data are not in {PATH}; give --data-dir FOLDER.").splitlines()
    assert f"  {PATH};" in lines
    assert all(len(line) <= 30 for line in lines if PATH not in line)
    assert lines[0].startswith("kdk: the data")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            MemoryError("107 GiB"),
            "the memory of this machine is full (107 GiB). Lower --batch-size",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "on the disk that is full ("),
        (OSError(errno.EACCES, "Permission denied", "a/b"), "a/b: Permission denied. Check the"),
        (OSError(errno.ENOSPC, "No space left", "a/b"), "Could not write a/b: No space left. Free"),
        (OSError(errno.EROFS, "Read-only", "a/b"), "Could not write a/b: Read-only. Allow writing"),
    ],
)
def test_errors_of_the_system_get_a_place_and_a_remedy(error, message):
    @click.command()
    @click.pass_context
    def command(ctx):
        with errors.translate_errors(ctx):
            raise error

    answer = CliRunner().invoke(command)
    assert (answer.exit_code, message in answer.output) == (2, True), answer.output


def test_a_path_of_an_unknown_user_is_wrong_input():
    @click.command()
    @click.pass_context
    def command(ctx):
        with errors.translate_errors(ctx):
            Path("~no-such-user/run").expanduser()

    answer = CliRunner().invoke(command)
    assert answer.exit_code == 2
    assert "a path begins with ~ and a name that no user of this machine has;" in answer.output


def test_an_error_of_the_program_stays_one():
    @click.command()
    @click.pass_context
    def command(ctx):
        with errors.translate_errors(ctx):
            raise KeyError("a fault")

    assert isinstance(CliRunner().invoke(command).exception, KeyError)


@pytest.mark.parametrize("words", [["list", "recipes"], ["--help"]])
def test_output_that_cannot_be_written_is_a_message(words):
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "kd_keras", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert result.returncode == errors.WRONG_INPUT
    assert result.stderr.startswith("kdk: ")
    assert "No space left on device" in result.stderr
    assert "lsewhere" in result.stderr
    assert "Traceback" not in result.stderr
