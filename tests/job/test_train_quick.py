"""One whole `kdk train`, without exports, times and a report; `test_train.py` has these."""

import contextlib
import csv
import io
import json

import keras
import numpy as np
import pytest

from kd_keras import data
from kd_keras.job import train
from kd_keras.results.evaluation import measure_model
from kd_keras.results.terminal.screen import Screen

MODELS = {"teacher": "teacher", "baseline": "student alone", "student": "student distilled"}


@pytest.fixture(scope="module")
def finished(no_report, own_cache, tiny_recipe, tmp_path_factory):
    """The folder of a finished run, its results, and what it printed."""
    scratch = tmp_path_factory.mktemp("quick")
    output = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(output):
        patch.setattr(measure_model, "_export", no_export)
        patch.setattr(train, "fresh_process", contextlib.nullcontext)
        folders = {"run": str(scratch / "run"), "export_dir": str(scratch / "exports")}
        settings = {"batch_size": 16, "learning_rate": 0.02, "baseline": True, "timing": False}
        results = train.run(tiny_recipe(**settings), **folders, screen=Screen())
    return scratch / "run", results, output.getvalue()


def no_export(model, data, folder, images, serve):
    folder.mkdir(parents=True)
    return {"export": {"path": str(folder), "megabytes": 1.0}}


def test_results_json_has_the_results_and_the_student_has_learned(finished):
    folder, results, _ = finished
    assert json.loads((folder / "results.json").read_text()) == results
    assert results["student"]["top1"] > 0.3  # ten classes
    assert results["teacher"]["parameters"] > results["student"]["parameters"]
    assert 0 < results["student"]["agreement"] < 1


@pytest.mark.parametrize("phase", MODELS)
def test_the_accuracy_is_the_one_that_keras_measures_of_the_saved_file(finished, phase):
    folder, results, _ = finished
    digits = data.load("digits").validation
    images = digits.images_at(np.arange(len(digits))).astype("float32")
    model = keras.models.load_model(folder / f"{phase}.keras")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss, metrics=["sparse_categorical_accuracy"])
    _, top1 = model.evaluate(images, digits.labels, verbose=0)
    one_image = 1.5 / len(digits)  # logits that rounding makes equal
    assert results[phase]["top1"] == pytest.approx(top1, abs=one_image)
    assert results[phase]["parameters"] == model.count_params()


@pytest.mark.parametrize("phase", MODELS)
def test_the_history_has_the_epoch_and_its_accuracy(finished, phase):
    folder, results, _ = finished
    with (folder / f"{phase}-history.csv").open() as file:
        (epoch,) = csv.DictReader(file)
    assert float(epoch["val_top1"]) == pytest.approx(results[phase]["top1"], abs=1e-6)
    assert float(epoch["learning_rate"]) >= 0
    assert ("kd" in epoch) == (phase == "student")


def test_the_screen_ends_with_the_table_of_all_models(finished):
    _, results, output = finished
    table = output[output.index("Results on validation") :].splitlines()
    for phase, name in MODELS.items():
        entry = results[phase]
        cells = [f"{100 * entry['top1']:.2f}", f"{100 * entry['top5']:.2f}"]
        expected = [*name.split(), *cells, f"{entry['parameters']:,}", "1.00"]
        assert expected in [line.split() for line in table]
