import json

import click
import numpy as np
import pytest
from click.testing import CliRunner

from kd_keras.cli import kdk, output


@click.command()
@output.command
def measured():
    """A command that prints lines, a result and a document."""
    screen = output.screen()
    screen.say("working")
    screen.detail("how")
    screen.result("72 %")
    print("a library's line")
    output.document({"top1": np.float32(0.5), "counts": np.arange(2), "loss": float("nan")})


def invoke(*arguments):
    return CliRunner().invoke(measured, arguments)


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        ((), ["working", "72 %"]),
        (("-q",), ["72 %"]),
        (("-v",), ["working", "how", "72 %"]),
    ],
)
def test_quiet_and_verbose_choose_the_lines(arguments, lines):
    assert invoke(*arguments).stdout.splitlines() == [*lines, "a library's line"]


def test_with_json_stdout_is_one_document_and_lines_go_to_stderr():
    result = invoke("--json")
    assert json.loads(result.stdout) == {"top1": 0.5, "counts": [0, 1], "loss": None}
    assert result.stderr.splitlines() == ["working", "72 %", "a library's line"]
    assert json.loads(invoke("--json", "-q").stdout) == json.loads(result.stdout)


def test_quiet_and_verbose_together_are_refused():
    error = invoke("-q", "-v").exception
    assert str(error) == "--quiet and --verbose are both given; expected one of them."


def test_an_error_leaves_stdout_empty_with_json():
    result = CliRunner().invoke(kdk, ["list", "models", "no_such", "--json"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no_such" in result.stderr


def test_the_help_of_kdk_names_the_exit_codes():
    text = " ".join(CliRunner().invoke(kdk, ["--help"]).output.split())
    for code in ("0 done", "1 partly done", "2 wrong input", "130 stopped by Ctrl-C", "143 "):
        assert code in text
