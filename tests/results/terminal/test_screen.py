import io
import re
import time

import pytest

from kd_keras.results.terminal.screen import Screen


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Makes stderr a terminal of so many columns; gives what is written to it."""

    def of(columns):
        for name, value in {"TERM": "xterm", "COLUMNS": str(columns), "LINES": "20"}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("sys.stderr", Terminal())
        import sys

        return sys.stderr

    return of


def text_of(stream):
    """The lines that were drawn, without control sequences."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    return [line for line in re.split(r"[\r\n]+", plain) if line.strip()]


def test_say_and_warn_print_brackets_as_they_are(capsys):
    Screen().say("saved in /a/[red]/b")
    Screen().warn("[bold] is a class")
    assert capsys.readouterr() == ("saved in /a/[red]/b\n", "warning: [bold] is a class\n")


def test_a_piped_table_is_plain_and_uncut(capsys):
    path = "/runs/[red]/" + "x" * 200
    Screen().table("Results", ["model", "top-1", "path"], [["student", 0.25, path], ["t", None, 3]])
    title, heads, _, student, teacher = capsys.readouterr().out.splitlines()
    assert title.strip() == "Results"
    assert heads.split() == ["model", "top-1", "path"]
    assert student.split() == ["student", "0.25", path]
    assert teacher.split() == ["t", "-", "3"]


def test_progress_is_silent_without_a_terminal(capsys):
    with Screen().progress("epoch 1/5", 10) as advance:
        advance(10, loss=1.0)
    assert capsys.readouterr() == ("", "")


def test_progress_shows_count_rate_and_fields_in_a_terminal(terminal):
    stream = terminal(120)
    with Screen().progress("epoch [1/5]", 2000) as advance:
        for _ in range(2):
            time.sleep(0.02)
            advance(1000, loss=2.34567, lr="0.001")
    last = text_of(stream)[-1]
    assert "epoch [1/5]  2,000/2,000" in last
    assert re.search(r"[\d,]+ images/s  0:00:00 in all  loss 2\.346  lr 0\.001", last)


@pytest.mark.parametrize("columns", [20, 60, 80, 120])
def test_progress_fits_the_terminal(terminal, columns):
    stream = terminal(columns)
    with Screen().progress("a rather long description of the work", 100, unit="crops") as advance:
        advance(50, loss=2.3, note="n" * 100)
    assert max(map(len, text_of(stream))) <= columns


def test_lines_for_a_file_stay_out_of_the_bar(terminal, capsys):
    stream = terminal(80)
    with Screen().progress("work", 2) as advance:
        Screen().say("a result")
        advance(2)
    assert capsys.readouterr().out == "a result\n"
    assert "a result" not in stream.getvalue()


def test_a_quiet_screen_prints_results_and_warnings_and_no_bar(terminal, capsys):
    stream = terminal(80)
    screen = Screen(quiet=True)
    screen.say("working")
    screen.detail("how")
    screen.result("72 %")
    with screen.progress("work", 1) as advance:
        advance()
    assert (capsys.readouterr().out, stream.getvalue()) == ("72 %\n", "")
