"""What `import kd_keras` offers: names that are resolved when first used, and `run`."""

import json

import keras
import numpy as np
import pytest

import kd_keras

AVERAGE, SMOOTHING, RATE = 0.25, 0.2, 0.01
BIAS = np.arange(10) / 5


def test_every_public_name_is_there_and_in_dir():
    from kd_keras.distill.distiller import Distiller
    from kd_keras.job import train
    from kd_keras.job.recipe import recipe_files

    assert {*kd_keras.__all__, "__version__"} == set(dir(kd_keras))
    assert len(kd_keras.__all__) <= 10
    for name in ("compare", "evaluate", "export", "predict", "report"):
        assert getattr(kd_keras, name).__name__ == name
    assert kd_keras.Distiller is Distiller
    assert kd_keras.Recipe is recipe_files.Recipe
    assert kd_keras.run is train.run
    for package in ("data", "methods", "models", "optimizers"):
        assert getattr(kd_keras, package).__name__ == f"kd_keras.{package}"


def test_another_name_is_refused_with_those_that_exist():
    with pytest.raises(AttributeError, match=r"no attribute 'Distill'.*'Distiller', 'Recipe'"):
        _ = kd_keras.Distill


@pytest.fixture(scope="module")
def runs(tmp_path_factory, one_server, no_report):
    """(results, run folder, weights) of two runs, the second one with ema; no teacher.

    An epoch is one step on all images. Until the first step the student's logits are its bias.
    """
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KD_KERAS_CACHE", str(folder / "cache"))
        student = keras.Sequential(
            [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
        )
        student.set_weights([np.zeros((64, 10)), BIAS])
        student.save(folder / "start.keras")
        finished = []
        for name, ema in (("plain", 0.0), ("averaged", AVERAGE)):
            recipe = kd_keras.Recipe(
                **{"dataset": "digits", "student": str(folder / "start.keras"), "method": "none"},
                **{"epochs": 2, "batch_size": len(labels()), "learning_rate": RATE, "ema": ema},
                **{"label_smoothing": SMOOTHING, "precision": "float32", "timing": False},
            )
            run = folder / name
            results = kd_keras.run(recipe, run=str(run), export_dir=str(folder / "exports"))
            weights = keras.models.load_model(run / "student.keras").get_weights()
            finished.append((results, run, weights))
        yield finished


def labels():
    return kd_keras.data.load("digits").train.labels


@pytest.mark.slow
def test_run_returns_what_the_run_folder_holds(runs):
    results, folder, _ = runs[0]
    assert json.loads((folder / "results.json").read_text()) == results
    assert 0.1 < results["student"]["top1"] < 1


@pytest.mark.slow
def test_ema_exports_the_running_average_of_the_weights(runs):
    (_, _, (_, last)), (_, _, (_, average)) = runs
    first = (average - (1 - AVERAGE) * last) / AVERAGE  # average = AVERAGE first + the rest last
    np.testing.assert_allclose(np.abs(first - BIAS), RATE, rtol=1e-3)  # Adam's first step
    assert np.max(np.abs(last - average)) > RATE / 10


@pytest.mark.slow
def test_label_smoothing_spreads_its_share_in_the_loss_of_a_run(runs):
    log_p = BIAS - np.log(np.exp(BIAS).sum())
    share = np.bincount(labels(), minlength=10) / len(labels())
    target = (1 - SMOOTHING) * share + SMOOTHING / 10
    history = json.loads((runs[0][1] / "student.json").read_text())["history"]
    assert history["loss"][0] == pytest.approx(-np.sum(target * log_p), rel=1e-5)
