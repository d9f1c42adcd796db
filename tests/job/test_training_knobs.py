"""`kdk train` honours the training knobs in teacher, baseline and student; it ends in a softmax."""

import csv
import json

import keras
import numpy as np
import pytest
from scipy import special

from kd_keras import Recipe, data
from kd_keras.distill.callbacks import stop_early
from kd_keras.distill.callbacks.checkpoint import Checkpoint
from kd_keras.job import train
from kd_keras.job.training import fitting, optimizer
from kd_keras.results.run_files import score_files

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_server", "no_report")]
FIELDS = {
    "dataset": "digits",
    "teacher": "plain_cnn4:width=0.5",
    "epochs": 3,
    "teacher_epochs": 3,
    "batch_size": 256,
    "accumulate": 2,
    "optimizer": "lamb",
    "learning_rate": 0.01,
    "schedule": "cosine",
    "warmup_epochs": 1,
    "final_learning_rate": 0.002,
    "clip_norm": 0.5,
    "stop_early": 1,
    "freeze": ["stage1*"],
    "baseline": True,
    "log_every": 4,
    "precision": "float32",
    "allow_weak_teacher": True,
    "timing": False,
}
PHASES = ("teacher", "baseline", "student")


@pytest.fixture(scope="module")
def run(recorder, tmp_path_factory):
    """The folder of a run with every knob, its results, its start weights and what was compiled."""
    from kd_keras import models

    scratch, optimizers, screen = tmp_path_factory.mktemp("knobs"), [], recorder()
    plain = models.get("plain_cnn4", num_classes=10, input_shape=(8, 8, 1), width=0.5)
    student = keras.Model(plain.input, keras.layers.Softmax(name="last")(plain.output))
    student.save(scratch / "start.keras")
    make = optimizer.make
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KD_KERAS_CACHE", str(scratch / "cache"))
        patch.setattr(
            fitting.optimizer,
            "make",
            lambda *a, **k: optimizers.append(make(*a, **k)) or optimizers[-1],
        )
        results = train.run(
            Recipe(**FIELDS, student=str(scratch / "start.keras")),
            run=str(scratch / "run"),
            export_dir=str(scratch / "exports"),
            screen=screen,
        )
    return scratch / "run", results, student, optimizers[-3:], screen.lines


def history(run, phase):
    return json.loads((run[0] / f"{phase}.json").read_text())["history"]


def test_every_phase_has_the_optimizer_of_the_recipe(run):
    optimizers = run[3]
    assert [type(each) for each in optimizers] == [keras.optimizers.Lamb] * 3
    assert {each.global_clipnorm for each in optimizers} == {0.5}
    assert {each.gradient_accumulation_steps for each in optimizers} == {2}


def test_the_learning_rate_rises_and_ends_at_the_final_one(run):
    for phase in PHASES:
        rates = history(run, phase)["learning_rate"]
        assert rates[0] == pytest.approx(0.01)
        assert rates[1] < rates[0]
        if len(rates) == 3:
            assert rates[2] == pytest.approx(0.002)


def test_every_phase_has_the_weights_of_its_best_epoch_on_images_held_out_of_train(run):
    _, results, _, _, lines = run
    assert "  holding out 10 % of train (143 images) to stop early by" in lines
    assert results["data"]["train_images"] == 1438 - 143
    for phase in PHASES:
        entries = history(run, phase)
        best, _ = stop_early.decide(entries[stop_early.TOP1], entries[stop_early.LOSS], 1)
        assert results[phase]["stop_early"]["best_epoch"] == best + 1
        assert f"best epoch: {best + 1} of {len(entries['loss'])}, weights" in "\n".join(lines)
        assert results[phase]["top1"] == pytest.approx(entries["val_top1"][best], abs=1.5 / 359)


def test_the_student_and_the_baseline_start_from_the_file_and_keep_the_frozen_layers(run):
    folder, _, start, _, _ = run
    for phase in ("baseline", "student"):
        end = keras.models.load_model(folder / f"{phase}.keras")
        assert len(end.trainable_variables) == len(start.trainable_variables)  # thawed
        for before, after in zip(start.layers, end.layers, strict=True):
            if before.weights:
                is_frozen = before.name.startswith("stage1")
                pairs = zip(before.get_weights(), after.get_weights(), strict=True)
                assert all(np.array_equal(a, b) for a, b in pairs) == is_frozen, before.name


def test_a_student_with_a_softmax_keeps_it_and_is_judged_by_its_logits(run):
    folder, results, *_ = run
    digits = data.load("digits", cache_dir=folder.parent / "cache").validation
    images = digits.images_at(np.arange(len(digits))).astype("float32")
    for phase in ("baseline", "student"):
        probabilities = np.asarray(keras.models.load_model(folder / f"{phase}.keras")(images))
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
        logits = score_files.load(folder, phase)
        assert logits.min() < -0.1
        np.testing.assert_allclose(special.softmax(logits, axis=1), probabilities, atol=2e-3)
        assert results[phase]["export"]["max_abs_difference"] < 1e-4
        right = probabilities.argmax(axis=1) == digits.labels
        assert results[phase]["top1"] == pytest.approx(right.mean(), abs=1.5 / 359)


def test_values_within_the_epochs_are_logged(run):
    for phase in PHASES:
        with (run[0] / f"{phase}-steps.csv").open() as file:
            steps = [float(row["step"]) for row in csv.DictReader(file)]
        epochs = len(history(run, phase)["loss"])
        assert steps == list(range(4, 10 * epochs + 1, 4))  # 1,295 images: 5 updates, 10 steps


def test_a_run_that_is_interrupted_in_each_phase_ends_equal_to_the_bit(
    run, recorder, interrupted_after, tmp_path
):
    folder, results, *_ = run
    recipe = Recipe(**FIELDS, student=str(folder.parent / "start.keras"))
    where = {"run": str(tmp_path / "run"), "export_dir": str(tmp_path / "out")}
    for phase, step in (("teacher", 13), ("baseline", 7), ("student", 20)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KD_KERAS_CACHE", str(folder.parent / "cache"))
            patch.setattr(Checkpoint, "on_train_batch_end", interrupted_after(phase, step))
            with pytest.raises(KeyboardInterrupt):
                train.run(recipe, screen=recorder(), **where)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KD_KERAS_CACHE", str(folder.parent / "cache"))
        again = train.run(recipe, screen=recorder(), **where)
    for phase in PHASES:
        assert again[phase]["stop_early"] == results[phase]["stop_early"]
        files = [where / f"{phase}.keras" for where in (folder, tmp_path / "run")]
        one, other = (keras.models.load_model(file).get_weights() for file in files)
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
        rows = [_rows(where / f"{phase}-steps.csv") for where in (folder, tmp_path / "run")]
        for a, b in zip(*rows, strict=True):
            assert a == pytest.approx(b, rel=1e-5, abs=1e-6)


def _rows(file):
    with file.open() as lines:
        return [{name: float(v) for name, v in row.items()} for row in csv.DictReader(lines)]


def test_a_finished_run_is_shown_and_not_trained_again(run, recorder, monkeypatch):
    folder, results, *_ = run
    monkeypatch.setattr(fitting, "fit", None)
    recipe = Recipe(**FIELDS, student=str(folder.parent / "start.keras"))
    again = train.run(
        recipe, run=str(folder), export_dir=str(folder.parent / "exports"), screen=recorder()
    )
    assert again == json.loads((folder / "results.json").read_text()) == results
