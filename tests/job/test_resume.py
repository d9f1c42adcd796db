"""`kdk train` that is interrupted or gets more epochs goes on there, and ends equal to the bit."""

import csv
import json
import shutil
import time

import keras
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kd_keras.distill.callbacks.checkpoint import Checkpoint
from kd_keras.job import repeat, train
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.job.run_folders import provenance, run_state

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_server", "no_report")]
FIELDS = {
    "dataset": "digits",
    "teacher": "plain_cnn4:width=0.5",
    "student": ["resnet8:width=0.25", "plain_cnn4:width=0.5"],
    "epochs": 3,
    "teacher_epochs": 2,
    "batch_size": 256,
    "precision": "float32",
    "allow_weak_teacher": True,
    "timing": False,
}
MODELS = ("teacher", "student-1", "student-2")


@pytest.fixture(scope="module")
def runs(recorder, interrupted_after, tmp_path_factory):
    """Folders of a whole run and of one interrupted in each phase, and that one's lines."""
    scratch, screen, states = tmp_path_factory.mktemp("resume"), recorder(), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KD_KERAS_CACHE", str(scratch / "cache"))

        def run(name, **options):
            fields = {**FIELDS, "epochs": options.pop("epochs", FIELDS["epochs"])}
            train.run(
                Recipe(**fields),
                run=str(scratch / name),
                export_dir=str(scratch / f"exports-{name}"),
                screen=screen,
                **options,
            )

        run("whole")
        screen.lines.clear()
        for phase, step in (("teacher", 3), ("student-1", 8)):  # of 10 steps each
            with patch.context() as inner:
                inner.setattr(Checkpoint, "on_train_batch_end", interrupted_after(phase, step))
                with pytest.raises(KeyboardInterrupt):
                    run("interrupted", epochs=2)
            states.append(run_state.read(scratch / "interrupted"))
        with patch.context() as inner:
            inner.setattr(time, "time", lambda: 1e9)  # a clock that was set back to 2001
            run("interrupted", epochs=2)
        with pytest.raises(ValueError, match="give --continue to train for more epochs"):
            run("interrupted")
        run("interrupted", more_epochs=True)
    return scratch / "whole", scratch / "interrupted", screen.lines, states


def test_the_screen_says_where_it_goes_on(runs):
    lines = "\n".join(runs[2])
    for where in (
        "teacher: continuing at epoch 1 of 2 (checkpoint of ",
        "student 1 and student 2: continuing at epoch 2 of 2 (checkpoint of ",
        "student 1 and student 2: continuing at epoch 2 of 3 (checkpoint of ",
    ):
        assert where in lines
    assert not (runs[1] / "checkpoints").exists()
    assert [path.name for path in (runs[1] / "ends").iterdir()] == ["student-1"]
    assert len(list((runs[1] / "ends" / "student-1").glob("*.npz"))) == 1


def test_the_state_says_where_it_stopped(runs):
    assert [state.progress for state in runs[3]] == [
        "teacher, step 3 of 5 of epoch 1 of 2",
        "student 1, step 3 of 5 of epoch 2 of 2",
    ]
    assert [state.holder for state in runs[3]] == [None, None]


@pytest.mark.parametrize("model", MODELS)
def test_weights_and_histories_are_equal(runs, model):
    uninterrupted, interrupted = runs[:2]
    weights = [keras.models.load_model(run / f"{model}.keras").get_weights() for run in runs[:2]]
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)
    histories = [json.loads((run / f"{model}.json").read_text())["history"] for run in runs[:2]]
    for history in histories:
        del history["images_per_second"]
    assert histories[0] == histories[1]
    tables = [rows(run / f"{model}-history.csv") for run in (uninterrupted, interrupted)]
    assert tables[0] == tables[1]
    assert tables[0]["epoch"] == [str(epoch) for epoch in range(len(histories[0]["loss"]))]


def test_results_are_equal(runs):
    results = [json.loads((run / "results.json").read_text()) for run in runs[:2]]
    for result in results:
        for model in MODELS:
            del result[model]["seconds"]
            result[model].pop("export", None)  # a SavedModel's size depends on layers' names
    assert differing(*results) == []


def differing(one, other, path=""):
    """Paths of values that differ in nested dicts."""
    if isinstance(one, dict) and isinstance(other, dict) and set(one) == set(other):
        return [line for key in one for line in differing(one[key], other[key], f"{path}/{key}")]
    return [] if one == other else [f"{path}: {one} {other}"]


@pytest.mark.parametrize("model", MODELS)
def test_tensorboard_has_each_epoch_once(runs, model):
    curves = [points(run / "logs" / model / "train") for run in runs[:2]]
    assert curves[0] == curves[1]
    assert [epoch for epoch, _ in curves[0]] == list(range(2 if model == "teacher" else 3))


def rows(path):
    """The columns of a CSV file by name, without times."""
    with path.open() as file:
        lines = list(csv.DictReader(file))
    return {name: [line[name] for line in lines] for name in lines[0] if "per_second" not in name}


def points(folder):
    events = EventAccumulator(str(folder), {"tensors": 0})
    events.Reload()
    return [(e.step, e.tensor_proto.SerializeToString()) for e in events.Tensors("loss/total")]


def test_two_runs_of_one_recipe_come_out_the_same(runs, tmp_path):
    uninterrupted, interrupted = runs[:2]
    comparison = repeat.compare_runs(run_state.read(uninterrupted), run_state.read(interrupted))
    assert comparison["same"], comparison
    assert comparison["models"]["student-1"]["weights"] == 0.0
    assert comparison["differences"] == []
    left_out = shutil.ignore_patterns("checksums.json")
    other = shutil.copytree(interrupted, tmp_path / "other", ignore=left_out)
    shutil.copy(uninterrupted / "student-1-scores.npy", other / "student-2-scores.npy")
    comparison = repeat.compare_runs(run_state.read(uninterrupted), run_state.read(other))
    assert not comparison["same"]
    assert comparison["models"]["student-2"]["scores"] > 0


def test_the_provenance_says_with_what_and_how_a_run_was_made(runs):
    facts = provenance.read(runs[0])
    assert {"command", "code", "versions", "cpu_flags", "gpus", "data", "precision"} <= set(facts)
    assert facts["teacher_outputs"]["student-1"]["source"] == "teacher"
    assert "views is 0" in facts["teacher_outputs"]["student-1"]["why"]
