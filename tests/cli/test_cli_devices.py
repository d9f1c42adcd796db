"""`kdk train --devices cpu:2`, whole, and Python's API on the same devices."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
TINY = (
    *("--epochs", "1", "--teacher-epochs", "1", "--batch-size", "255", "--precision", "float32"),
    *("--teacher", "plain_cnn4:width=0.5", "--student", "plain_cnn4:width=0.25"),
    "--allow-weak-teacher",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("devices")
    environment = {**os.environ, "KD_KERAS_CACHE": str(folder / "cache"), "COLUMNS": "200"}
    root = str(Path(__file__).parents[2])
    environment["PYTHONPATH"] = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    script = Path(__file__).with_name("on_two_devices.py")
    options = ("--recipe", "quickstart", "--devices", "cpu:2", *TINY)
    command = [sys.executable, script, folder / "later.json", folder / "runs" / "whole", *options]
    result = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
    assert result.returncode == 0, result.stderr[-5000:]
    (folder / "screen.txt").write_text(result.stdout)
    return folder


@pytest.fixture(scope="module")
def later(folder):
    return json.loads((folder / "later.json").read_text())


def test_the_whole_command_trains_exports_and_reports(folder):
    results = json.loads((folder / "runs" / "whole" / "results.json").read_text())
    provenance = json.loads((folder / "runs" / "whole" / "provenance.json").read_text())
    assert provenance["replicas"] == 2
    assert results["student"]["export"]["max_abs_difference"] < 1e-4
    assert (folder / results["student"]["export"]["path"] / "saved_model.pb").is_file()
    history = (folder / "runs" / "whole" / "student-history.csv").read_text().splitlines()
    last = dict(zip(history[0].split(","), history[-1].split(","), strict=True))
    # What two replicas evaluate is what the saved student gives on one device.
    assert float(last["val_top1"]) == pytest.approx(results["student"]["top1"], abs=1e-6)
    assert "Results on validation" in (folder / "screen.txt").read_text()


def test_a_finished_run_is_shown_again(folder, later):
    assert later["again"] == json.loads((folder / "runs" / "whole" / "results.json").read_text())
    assert "is a finished run of this recipe" in later["lines"][0]


def test_a_batch_too_small_for_the_devices_is_refused_before_training(later):
    expected = "batch_size is 1, which 2 devices share as [1, 0]; expected at least one example"
    assert later["message"].startswith(expected)
    assert later["message"].endswith("Give a larger --batch-size, or fewer --devices.")


def test_the_python_api_trains_several_students_on_the_devices(later):
    assert {"student-1", "student-2"} <= set(later["several"])
