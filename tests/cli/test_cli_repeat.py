"""`kdk train --repeat RUN`, whole: on two replicas, and what it says of a run that differs."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from kd_keras.cli import kdk, quiet
from kd_keras.job import train
from kd_keras.results.run_files import score_files

TINY = (
    *("--epochs", "2", "--teacher-epochs", "1", "--batch-size", "255", "--precision", "float32"),
    *("--teacher", "plain_cnn4:width=0.5", "--student", "resnet8:width=0.25"),
    *("--allow-weak-teacher", "--no-timing"),
)


@pytest.mark.slow
def test_two_runs_on_two_replicas_are_equal_to_the_bit(tmp_path):
    environment = {**os.environ, "KD_KERAS_CACHE": str(tmp_path / "cache")}
    root = str(Path(__file__).parents[2])
    environment["PYTHONPATH"] = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])

    def run(*words):
        command = [sys.executable, "-m", "kd_keras", "train", *words]
        result = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env=environment
        )
        assert result.returncode == 0, result.stderr[-5000:]
        return result

    run("--recipe", "quickstart", "--devices", "cpu:2", *TINY, "--run", "one")
    again = run("--repeat", "one", "--json")
    comparison = json.loads(again.stdout)
    assert comparison["same"]
    assert {phase: model["weights"] for phase, model in comparison["models"].items()} == {
        "teacher": 0.0,
        "student": 0.0,
    }
    assert comparison["differences"] == []
    line = "runs/one-repeat came out the same as runs/one: all weights and scores, to the bit"
    assert line in again.stderr
    for name in ("one", "one-repeat"):
        provenance = json.loads((tmp_path / "runs" / name / "provenance.json").read_text())
        assert provenance["replicas"] == 2
    record = json.loads((tmp_path / "runs" / "one-repeat" / "repeat.json").read_text())
    assert record == comparison


@pytest.fixture
def repeat(tiny_run, tmp_path, monkeypatch):
    """repeat(change) gives what the command says where a run comes out as the first, changed."""
    monkeypatch.setattr(quiet, "import_tensorflow", lambda: None)

    def run(change, *words):
        def copied(recipe, *, run, **options):
            shutil.copytree(tiny_run, run, ignore=shutil.ignore_patterns("checksums.json"))
            change(Path(run))

        monkeypatch.setattr(train, "run", copied)
        place = str(tmp_path / "again")
        return CliRunner().invoke(kdk, ["train", "--repeat", str(tiny_run), "--run", place, *words])

    return run


def test_a_run_that_comes_out_the_same_ends_with_0(repeat):
    answer = repeat(lambda folder: None)
    assert answer.exit_code == 0
    assert "all weights and scores, to the bit" in answer.output


def test_a_run_that_differs_is_reported_and_ends_with_1(repeat):
    def change(folder):
        score_files.save(folder, "student", score_files.load(folder, "student") + 1)
        path = folder / "provenance.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "precision": "float16"}))

    answer = repeat(change)
    assert answer.exit_code == 1
    assert "did not come out the same as" in answer.stderr
    assert "student: top-1 " in answer.stdout
    assert "largest difference: weights 0, scores 1" in answer.stdout
    assert "differs: precision: float32 -> float16" in answer.stdout
    help_text = " ".join(CliRunner().invoke(kdk, ["train", "--help"]).output.split())
    assert "whether it comes out the same; exit code 1 if it does not" in help_text


def test_a_model_file_that_is_missing_is_not_taken_for_equal(repeat):
    answer = repeat(lambda folder: (folder / "student.keras").unlink())
    assert answer.exit_code == 1
    assert "did not come out the same as" in answer.stderr


def test_a_run_is_not_repeated_in_its_own_folder(tiny_run, monkeypatch):
    monkeypatch.setattr(quiet, "import_tensorflow", lambda: None)
    words = ["train", "--repeat", str(tiny_run), "--run", str(tiny_run)]
    answer = CliRunner().invoke(kdk, words)
    assert answer.exit_code == 2
    assert "expected a new folder. Leave --run out" in answer.output
