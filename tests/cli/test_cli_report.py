import json

import pytest
from click.testing import CliRunner

from kd_keras.cli import kdk
from kd_keras.results.report import report


@pytest.fixture
def questions(monkeypatch, tmp_path):
    """asked(arguments) runs the command in a new folder; asked.calls are those of `report`."""
    calls = []

    def write(run, *, images):
        calls.append((str(run), images))
        return run / "report.html"

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(report, "report", write)

    def ask(*arguments):
        return CliRunner().invoke(kdk, ["report", *arguments])

    ask.calls = calls
    return ask


def test_a_name_means_a_folder_in_runs(questions):
    result = questions("pets")
    assert result.exit_code == 0
    assert result.output == "Report, for a browser: runs/pets/report.html\n"
    questions("here/pets", "--no-images")
    assert questions.calls == [("runs/pets", True), ("here/pets", False)]


def test_json_names_the_files(questions):
    document = json.loads(questions("pets", "--json").stdout)
    assert document == {"report": "runs/pets/report.html", "plots": "runs/pets/report"}


def test_a_run_that_does_not_exist_is_reported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(kdk, ["report", "pets"])
    assert result.exit_code == 2
    assert "run folder runs/pets does not exist; expected" in result.stderr
