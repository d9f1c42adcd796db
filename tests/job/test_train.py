import json
import math

import keras
import numpy as np
import pytest
from scipy import special
from sklearn.metrics import log_loss
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kd_keras import data
from kd_keras.distill.callbacks import stop_on_nan
from kd_keras.job import train
from kd_keras.job.recipe import recipe_files
from kd_keras.job.training import fitting
from kd_keras.results.evaluation import measure_model
from kd_keras.results.run_files import run_data, score_files

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_server", "own_cache")]


@pytest.fixture(scope="module")
def run(recorder, tiny_recipe, own_cache):
    """run(folder, **fields) trains a tiny recipe and gives its results and its screen."""

    def run(folder, **fields):
        screen = recorder()
        folders = {"run": str(folder), "export_dir": str(folder.parent / "exports")}
        return train.run(tiny_recipe(**fields), **folders, screen=screen), screen

    return run


@pytest.fixture(scope="module")
def finished(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    results, _ = run(folder, baseline=True)
    return folder, results


def test_results_have_every_figure_of_every_model(finished):
    folder, results = finished
    assert json.loads((folder / "results.json").read_text()) == results
    for model in ("teacher", "baseline", "student"):
        entry = results[model]
        assert entry["parameters"] > 0
        last = json.loads((folder / f"{model}.json").read_text())["history"]["val_top1"][-1]
        assert entry["top1"] == pytest.approx(last, abs=1e-6)
        assert set(entry["milliseconds_per_image"]) == {"batch1", "batch128", "spread"}
        assert entry["export"]["max_abs_difference"] < 1e-4
        assert entry["export"]["megabytes"] > 0
        assert min(entry["seconds"]["training"], entry["seconds"]["measuring"]) > 0
    assert results["teacher"]["parameters"] > results["student"]["parameters"]
    assert results["student"]["parameters"] == results["baseline"]["parameters"]
    times = [results[model]["milliseconds_per_image"] for model in ("student", "baseline")]
    assert times[0] == times[1]  # one network


def test_accuracy_and_agreement_are_those_of_the_saved_models(finished):
    folder, results = finished
    digits = data.load("digits").validation
    images = digits.images_at(np.arange(len(digits))).astype("float32")
    one_image = pytest.approx(0, abs=1.5 / len(digits))  # logits that rounding makes equal
    predicted = {}
    for phase in ("teacher", "baseline", "student"):
        logits = np.asarray(keras.models.load_model(folder / f"{phase}.keras")(images))
        better = np.sum(logits > logits[np.arange(len(digits)), digits.labels, None], axis=1)
        for name, rank in (("top1", 1), ("top5", 5)):
            assert results[phase][name] - np.mean(better < rank) == one_image, (phase, name)
        predicted[phase] = logits.argmax(axis=1)
        np.testing.assert_allclose(score_files.load(folder, phase), logits, rtol=1e-3, atol=1e-3)
    agreement = np.mean(predicted["student"] == predicted["teacher"])
    assert results["student"]["agreement"] - agreement == one_image
    np.testing.assert_array_equal(score_files.load_labels(folder), digits.labels)
    logits = {phase: score_files.load(folder, phase) for phase in predicted}
    divergence = special.rel_entr(*(special.softmax(logits[p], 1) for p in ("teacher", "student")))
    assert results["student"]["predictive_kl"] == pytest.approx(divergence.sum(1).mean(), rel=1e-4)
    for phase in predicted:
        calibration = results[phase]["calibration"]
        assert calibration["nll"] == pytest.approx(
            log_loss(digits.labels, special.softmax(logits[phase], 1)), rel=1e-4
        )
        assert calibration["fitted_on"] + calibration["measured_on"] == len(digits)


def test_the_verdict_is_kept_and_said_again(run, finished):
    folder, results = finished
    pairs = [(entry["phase"], entry["other"]) for entry in results["comparisons"]]
    assert pairs == [("student", "baseline"), ("teacher", "baseline")]
    gain = results["student"]["top1"] - results["baseline"]["top1"]
    assert results["comparisons"][0]["difference"] == pytest.approx(gain)
    assert len(results["verdict"]) == 2
    _, screen = run(folder, baseline=True)
    assert [line for line in screen.lines if line in results["verdict"]] == results["verdict"]


def test_the_run_folder_holds_what_is_needed_to_run_again(finished, tiny_recipe):
    folder, _ = finished
    assert recipe_files.load(folder) == tiny_recipe(baseline=True)
    provenance = json.loads((folder / "provenance.json").read_text())
    assert run_data.read(folder).fingerprint == provenance["data"]
    assert {"data", "teacher", "precision", "versions"} <= set(provenance)
    student = keras.models.load_model(folder / "student.keras")
    assert {layer.dtype_policy.name for layer in student.layers} == {"float32"}
    assert (folder / "history.png").stat().st_size > 1000
    assert (folder / "report.html").read_text().count("data:image/png") == 20
    norms = json.loads((folder / "results.json").read_text())["student"]["gradient_norms"]
    assert list(norms) == ["ce", "kd"]
    assert min(norms.values()) > 0
    header = (folder / "student-history.csv").read_text().splitlines()[0]
    assert {"loss", "ce", "kd_share", "kd_gradient_norm", "val_top1"} <= set(header.split(","))


def test_tensorboard_shows_the_models_side_by_side(finished):
    folder, _ = finished
    for model in ("teacher", "baseline", "student"):
        training = EventAccumulator(str(folder / "logs" / model / "train")).Reload()
        tags = set(training.Tags()["tensors"])
        grouped = {"accuracy/top1", "loss/total", "loss/ce", "speed/images_per_second"}
        assert grouped <= tags
        assert ("loss/kd" in tags) == (model == "student")
        assert ("gradient_norm/kd" in tags) == (model == "student")
        validation = EventAccumulator(str(folder / "logs" / model / "validation")).Reload()
        assert {"accuracy/top1", "loss/total"} <= set(validation.Tags()["tensors"])
        final = EventAccumulator(str(folder / "logs" / model)).Reload()
        assert {"final/top1", "_hparams_/session_start_info"} <= set(final.Tags()["tensors"])


def test_a_finished_run_shows_its_results_and_trains_nothing(run, finished, monkeypatch):
    folder, results = finished
    monkeypatch.setattr(fitting, "fit", None)
    again, screen = run(folder, baseline=True)
    assert again == results
    assert screen.lines[-1] == f"Report, for a browser: {folder / 'report.html'}"
    assert "is a finished run of this recipe" in screen.lines[0]


def test_a_finished_phase_is_not_redone(run, finished, monkeypatch, tmp_path):
    folder, results = finished
    contents = {name: (folder / name).read_bytes() for name in ("results.json", "student.json")}
    for name in contents:
        (folder / name).unlink()
    phases, measured = [], []
    fit, measure = fitting.fit, measure_model.measure
    monkeypatch.setattr(
        fitting,
        "fit",
        lambda distillers, *a, **k: phases.extend(distillers) or fit(distillers, *a, **k),
    )
    monkeypatch.setattr(
        measure_model,
        "measure",
        lambda m, d, out, *arguments: measured.append(out.name) or measure(m, d, out, *arguments),
    )
    again, _ = run(folder, baseline=True)
    assert (phases, measured) == (["student"], ["whole"])
    for model in ("teacher", "baseline"):
        assert again[model] == results[model]
    for what in ("top1", "top5", "calibration", "agreement", "predictive_kl"):
        assert again["student"][what] == results["student"][what]  # to the bit


def test_a_folder_of_another_recipe_is_refused(run, finished):
    folder, _ = finished
    with pytest.raises(ValueError, match=r"a different recipe \(.*epochs: 1 -> 2.*--run"):
        run(folder, baseline=True, epochs=2)


def test_plain_training_needs_no_teacher(run, tmp_path):
    results, _ = run(tmp_path / "plain", method=["none"])
    assert results["teacher"] is None
    assert results["baseline"] is None
    history = json.loads((tmp_path / "plain" / "student.json").read_text())["history"]
    assert history["loss"] == pytest.approx(history["ce"])  # the labels' loss and nothing else
    assert results["student"]["top1"] == pytest.approx(history["val_top1"][-1], abs=1e-6)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dataset": "digit"}, r"dataset is 'digit'.*Did you mean 'digits'"),
        ({"student": "resnet9"}, r"model is 'resnet9'.*Did you mean 'resnet"),
        ({"teacher": "resnet9"}, r"model is 'resnet9'"),
        ({"method": ["dk"]}, r"method is 'dk'.*Did you mean '.?kd'"),
        ({"method": ["kd:temperatur=2"]}, r"Did you mean 'temperature'"),
        ({"method": ["fitnet:tap=stage9"]}, r"no tap 'stage9'; near ones"),
        ({"batch_size": 5000}, r"batch_size is 5000, but there are only 1438"),
        ({"student": "missing/student.keras"}, r"no model at missing/student.keras"),
        ({"teacher_class_names": "missing.txt", "teacher": "missing.keras"}, r"no model at"),
        (
            {"teacher_class_names": "missing.txt"},
            r"teacher_class_names is missing.txt, .*Check the path",
        ),
    ],
    ids=str,
)
def test_bad_input_is_reported_before_anything_is_written(run, tmp_path, fields, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        run(tmp_path / "bad", **fields)
    assert not (tmp_path / "bad").exists()


def classifier(classes, path=None):
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(classes)]
    )
    if path:
        model.save(path)
    return model


def test_a_teacher_of_other_classes_is_refused(run, tmp_path):
    classifier(7, tmp_path / "seven.keras")
    with pytest.raises(ValueError, match=r"has 7 classes; expected 10"):
        run(tmp_path / "bad", teacher=str(tmp_path / "seven.keras"))
    assert not (tmp_path / "bad").exists()


def test_a_teacher_that_guesses_is_refused(run, tmp_path):
    classifier(10, tmp_path / "fresh.keras")
    models = dict.fromkeys(("teacher", "student"), str(tmp_path / "fresh.keras"))
    with pytest.raises(ValueError, match=r"expected at least 3\d\.\d\d%.*--allow-weak-teacher"):
        run(tmp_path / "bad", **models, allow_weak_teacher=False)
    assert not (tmp_path / "bad").exists()


def test_a_loss_that_becomes_nan_stops_the_run(run, tmp_path):
    student = classifier(10)
    student.layers[-1].kernel.assign(np.full((64, 10), math.nan))
    student.save(tmp_path / "broken.keras")
    with pytest.raises(stop_on_nan.NonFiniteError, match="step 1"):
        run(tmp_path / "nan", student=str(tmp_path / "broken.keras"), method=["none"])
    assert not (tmp_path / "nan" / "student.keras").exists()
