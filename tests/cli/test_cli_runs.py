import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from kd_keras.cli import kdk
from kd_keras.job.run_folders import runs
from kd_keras.results.terminal.screen import Screen

ROOT = Path(__file__).parents[2]


@pytest.fixture
def here(tiny_run, tmp_path, monkeypatch):
    """A working folder with a finished, an unfinished and a broken run, and another folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("done", "stopped", "broken"):
        shutil.copytree(tiny_run, tmp_path / "runs" / name, ignore=shutil.ignore_patterns("logs"))
    for name in ("results.json", "student.keras"):
        (tmp_path / "runs" / "stopped" / name).unlink()
    (tmp_path / "runs" / "broken" / "recipe.json").write_text("{")
    (tmp_path / "runs" / "notes").mkdir()
    return tmp_path


def kdk_runs(*arguments):
    return CliRunner().invoke(kdk, ["runs", *arguments])


def test_a_line_for_each_run_and_where_the_others_are(here, tiny_run):
    result = kdk_runs()
    results = json.loads((tiny_run / "results.json").read_text())
    (gain,) = [c["difference"] for c in results["comparisons"] if c["phase"] == "student"]
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("done ")]
    assert f"{results['student']['top1']:.2%}".rstrip("%") in line
    for part in ("digits", "plain_cnn4 -> plain_cnn4:width=0.5", f"{100 * gain:+.1f} ("):
        assert part in line
    assert "unfinished: runs/stopped (student, 1 of 1 epochs; 2" in result.stdout
    assert "  continue: kdk train --recipe runs/stopped --run runs/stopped\n" in result.stdout
    assert result.stderr.startswith("warning: runs/broken cannot be read: recipe file")
    assert result.exit_code == 1  # one of them cannot be read
    assert "notes" not in result.output


def test_json_has_every_run(here):
    result = kdk_runs("runs/done", "runs", "--json")
    entries = {Path(entry["run"]).name: entry for entry in json.loads(result.stdout)}
    assert [*entries] == ["done", "broken", "stopped"]
    states = {name: entry["state"] for name, entry in entries.items()}
    assert states == {"done": "finished", "broken": "broken", "stopped": "unfinished"}
    (student,) = entries["done"]["students"]
    assert student["low"] <= student["gain"] <= student["high"]
    assert student["methods"] == ["kd:temperature=4"]
    assert entries["done"]["bytes"] > 10_000


def test_a_narrow_terminal_gets_80_columns(here, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    runs.show(runs.runs(["runs/done"]), Screen(), width=80)
    lines = re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out).splitlines()
    assert max(map(len, lines)) <= 80
    assert any("done: digits" in line for line in lines)


def test_a_folder_without_runs_and_none_at_all(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert kdk_runs().stdout.startswith("no runs here: there is no folder runs.")
    assert json.loads(kdk_runs("--json").stdout) == []
    assert kdk_runs(".").stdout == "no runs in .\n"
    missing = kdk_runs("nowhere")
    assert missing.exit_code == 2
    assert "folder nowhere does not exist; expected run folders" in missing.stderr


def test_reading_runs_needs_no_tensorflow(tiny_run):
    code = (
        "import sys\n"
        "from kd_keras.cli import kdk\n"
        f"kdk(['runs', {str(tiny_run)!r}], standalone_mode=False)\n"
        "sys.exit(', '.join(sorted({'tensorflow', 'keras'} & set(sys.modules))) or None)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "plain_cnn4" in result.stdout
