"""Each architecture is timed once; saved results are timed when times are wanted later."""

import types

import keras
import numpy as np
import pytest

from kd_keras.data.stores.store import Split
from kd_keras.job.measurements import Measurements
from kd_keras.job.plan import PlannedModel
from kd_keras.job.recipe import recipe_files
from kd_keras.job.run_folders.run_folder import RunFolder
from kd_keras.job.training.job_time import JobTime
from kd_keras.results.evaluation import measure_model
from kd_keras.results.run_files import score_files

CLASSES = 3


def classifier(width, seed):
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Flatten(), keras.layers.Dense(width), keras.layers.Dense(CLASSES)]
    return keras.Sequential([keras.Input((4, 4, 1)), *layers])


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """measured(phase, model, timing=True) gives the entry; measured.timed the models' sizes."""
    monkeypatch.setenv("KD_KERAS_CACHE", str(tmp_path / "cache"))
    images = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 1), dtype="uint8")
    split = Split(images, np.zeros(6, "int32"), np.arange(6))
    data = types.SimpleNamespace(
        validation=split, class_names=tuple("abc"), fingerprint="f", image_shape=(4, 4, 1)
    )
    timed = []

    def milliseconds(model, data):
        timed.append(model.count_params())
        return {"batch1": float(len(timed)), "batch128": 0.1}

    monkeypatch.setattr(measure_model, "milliseconds", milliseconds)
    screen = types.SimpleNamespace(say=lambda line: None)
    measurements = {}

    def measure(phase, model, *, timing=True, again=False):
        recipe = recipe_files.Recipe(dataset="digits", precision="mixed_bfloat16", timing=timing)
        folder = RunFolder(recipe, str(tmp_path / "run"))
        folder.start({})
        if again or timing not in measurements:
            job_time = JobTime([], 0, screen)
            measurements[timing] = Measurements(recipe, data, folder, screen, job_time)
        planned = PlannedModel(phase.partition("-")[0], phase, spec="", seed=0)
        result = measurements[timing].measure(planned, model, None)
        folder.lock.release()
        return result

    measure.timed = timed
    return measure


def test_a_teacher_of_a_file_is_scored_in_float32_whatever_the_precision(measured, tmp_path):
    model = classifier(64, seed=0)
    measured("teacher-1", model)
    images = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 1), dtype="uint8")
    expected = model(images.astype("float32"))
    np.testing.assert_allclose(score_files.load(tmp_path / "run", "teacher-1"), expected, rtol=1e-4)


def test_a_teacher_of_this_run_is_scored_by_the_folded_twin_as_its_epochs_were(
    measured, tmp_path, monkeypatch
):
    model = classifier(4, seed=0)
    monkeypatch.setattr(measure_model, "teachers_scores", lambda *a, **k: np.eye(CLASSES)[[1] * 6])
    assert measured("teacher-1", model)["top1"] == 0.0  # of a file
    folder = RunFolder(
        recipe_files.Recipe(dataset="digits", precision="mixed_bfloat16"), str(tmp_path / "run")
    )
    folder.save("teacher", model, {"val_top1": [0.5]}, seconds=1.0)
    model.layers[-1].bias.assign([1e6, 0.0, 0.0])
    assert measured("teacher", model)["top1"] == 1.0


def test_models_of_one_architecture_are_timed_once(measured):
    alone = measured("baseline", classifier(4, seed=0))
    distilled = measured("student", classifier(4, seed=1))
    other = measured("student-2", classifier(5, seed=0))
    assert alone["milliseconds_per_image"] == distilled["milliseconds_per_image"]
    assert other["milliseconds_per_image"]["batch1"] == 2.0
    assert len(measured.timed) == 2


def test_the_times_of_a_phase_that_was_measured_before_are_taken_over(measured):
    first = measured("baseline", classifier(4, seed=0))
    assert measured("baseline", classifier(4, seed=0), again=True) == first
    student = measured("student", classifier(4, seed=1))
    assert student["milliseconds_per_image"] == first["milliseconds_per_image"]
    assert len(measured.timed) == 1


def test_without_timing_only_the_times_are_missing_and_a_later_call_adds_them(measured):
    model = classifier(4, seed=0)
    untimed = measured("student", model, timing=False)
    assert untimed["milliseconds_per_image"] is None
    assert not measured.timed
    timed = measured("student", model)
    assert {**timed, "milliseconds_per_image": None} == untimed
    assert timed["milliseconds_per_image"] == {"batch1": 1.0, "batch128": 0.1}
    assert measured("student", model, timing=False) == timed
