import json
import shutil

import pytest

from kd_keras.job import run_state


@pytest.fixture
def run(tiny_run, tmp_path):
    """A copy of a finished run, whose files the tests take away."""
    return shutil.copytree(tiny_run, tmp_path / "run")


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
    assert run_state.read(run).progress == "student, 1 of 1 epochs"
    (run / "baseline.json").unlink()
    (run / "baseline-history.csv").write_text("epoch,loss\n")
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
    assert run_state.read(run).progress == "student, 1 of 1 epochs"


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
