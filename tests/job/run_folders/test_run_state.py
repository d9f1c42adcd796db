import json
import os
import re
import shutil

import pytest

from kd_keras.distill.callbacks import checkpoint_files
from kd_keras.distill.callbacks.checkpoint_files import Position
from kd_keras.job.recipe import recipe_files
from kd_keras.job.run_folders import run_state
from kd_keras.job.run_folders.run_folder import RunFolder
from kd_keras.job.run_folders.run_lock import RunLock


@pytest.fixture
def run(tiny_run, tmp_path):
    """A copy of a finished run, whose files the tests take away."""
    left_out = shutil.ignore_patterns("checksums.json", "ends", "logs")
    return shutil.copytree(tiny_run, tmp_path / "run", ignore=left_out)


def test_a_finished_run_has_its_results_and_the_command_that_shows_them(tiny_run):
    state = run_state.read(tiny_run)
    assert state.results == json.loads((tiny_run / "results.json").read_text())
    assert (state.progress, state.recipe.epochs) == ("", 1)
    assert state.provenance["replicas"] == 1
    assert state.command == f"kdk train --recipe {tiny_run} --run {tiny_run}"


def test_an_unfinished_run_says_where_it_is(run):
    (run / "results.json").unlink()
    assert run_state.read(run).progress == "all models trained, results to be written"
    entry = json.loads((run / "student.json").read_text())
    del entry["result"]
    (run / "student.json").write_text(json.dumps(entry))
    assert run_state.read(run).progress == "student, to be measured"
    (run / "student.keras").unlink()
    assert run_state.read(run).progress == "student, 0 of 1 epochs"
    (run / "baseline.json").unlink()
    assert run_state.read(run).progress == "student alone, 0 of 1 epochs"
    for file in run.glob("teacher*"):
        file.unlink()
    assert run_state.read(run).progress == "teacher, 0 of 1 epochs"
    assert run_state.read(run).results is None


def test_a_teacher_from_a_file_is_not_trained(run):
    recipe = json.loads((run / "recipe.json").read_text())
    (run / "recipe.json").write_text(json.dumps(recipe | {"teacher": ["other/teacher.keras"]}))
    for name in ("results.json", "teacher.keras", "student.keras"):
        (run / name).unlink()
    assert run_state.read(run).progress == "student, 0 of 1 epochs"


def test_a_run_with_more_epochs_than_its_students_is_unfinished(run):
    recipe = json.loads((run / "recipe.json").read_text())
    (run / "recipe.json").write_text(json.dumps(recipe | {"epochs": 3}))
    (run / "results.json").unlink()
    position = Position(2, 1, 5, {}, 9.0, 0.0, ["baseline"])
    checkpoint_files.write(run / "checkpoints", position, {})
    assert run_state.read(run).progress == "student alone, step 1 of 5 of epoch 3 of 3"


def test_another_process_that_works_on_it_is_named(run):
    (run / "results.json").unlink()
    with RunLock(run) as lock:
        lock.take()
        assert run_state.read(run).holder.pid == os.getpid()
        with pytest.raises(ValueError, match=rf"is in use by process {os.getpid()} on .* since 2"):
            RunLock(run).take()
    assert run_state.read(run).holder is None


def test_a_finished_run_whose_files_changed_is_reported(tiny_run, tmp_path):
    run = shutil.copytree(tiny_run, tmp_path / "run", ignore=shutil.ignore_patterns("logs"))
    run_state.read(run)
    text = (run / "results.json").read_text()
    for name, content in (
        ("results.json", re.sub('"top1": 0', '"top1": 1', text).encode()),
        ("student.keras", (run / "student.keras").read_bytes()[:-1] + b"x"),
        ("baseline.json", b""),
    ):
        original = (run / name).read_bytes()
        (run / name).write_bytes(content)
        with pytest.raises(ValueError, match=rf"is finished, but {name} has changed since then"):
            run_state.read(run)
        (run / name).write_bytes(original)
    (run / "teacher.keras").unlink()
    with pytest.raises(ValueError, match=r"but teacher\.keras is missing since then. Restore"):
        RunFolder(recipe_files.load(run), str(run)).results()


def test_what_is_no_run_or_damaged_is_said(run, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"run folder .*none does not exist.*`kdk runs`"):
        run_state.read(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"is not a run folder: it has no recipe\.json"):
        run_state.read(tmp_path)
    (run / "results.json").write_text("[1")
    with pytest.raises(ValueError, match=r"the run in .* is damaged .* Restore them, or remove"):
        run_state.read(run)
    (run / "results.json").write_text('{"student": {"top1": 1}}')
    with pytest.raises(ValueError, match=r"is damaged"):
        run_state.read(run)
    (run / "recipe.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"recipe file .* does not exist"):
        run_state.read(run)
