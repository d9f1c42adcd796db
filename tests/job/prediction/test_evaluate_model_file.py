"""One run on a folder of mixed images: its student in four formats, evaluated and used."""

import csv
import importlib.util
import json

import numpy as np
import pytest
import tensorflow as tf

import kd_keras

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_server")]


@pytest.fixture(scope="module")
def run(net, mixed_folder, tmp_path_factory):
    """(run folder, student's files by format) of a run on the mixed folder."""
    folder = tmp_path_factory.mktemp("evaluated")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KD_KERAS_CACHE", str(folder / "cache"))
        net("student", classes=2).save(folder / "start.keras")
        recipe = kd_keras.Recipe(
            **{"dataset": f"folder:{mixed_folder}", "student": str(folder / "start.keras")},
            **{"method": "none", "epochs": 20, "batch_size": 12, "learning_rate": 0.02},
            **{"val_fraction": 0.5, "image_size": 8, "precision": "float32", "timing": False},
        )
        kd_keras.run(recipe, run=str(folder / "run"), export_dir=str(folder / "exports"))
        exported = folder / "exports" / "run"
        paths = {"keras": folder / "run" / "student.keras", "savedmodel": exported}
        if importlib.util.find_spec("ai_edge_litert"):
            paths["litert"] = folder / "student.tflite"
            converter = tf.lite.TFLiteConverter.from_saved_model(str(exported))
            paths["litert"].write_bytes(converter.convert())
        if importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("tf2onnx"):
            import keras

            paths["onnx"] = folder / "student.onnx"
            student = keras.models.load_model(paths["keras"])
            student(np.zeros((1, 8, 8, 3), "float32"))  # Keras exports what has been called
            student.export(paths["onnx"], format="onnx", verbose=False)
        yield folder / "run", paths


@pytest.fixture(scope="module")
def evaluated(run):
    """The evaluation of the run, with its default files."""
    return kd_keras.evaluate(run[0])


def test_the_run_has_the_accuracy_of_its_results(run, evaluated):
    results = json.loads((run[0] / "results.json").read_text())
    assert evaluated.top1 == results["student"]["top1"]
    assert (evaluated.images, evaluated.class_names) == (12, ("cat", "dog"))
    assert evaluated.top1 == 1 - len(evaluated.wrong) / 12
    low, high = evaluated.top1_interval
    assert low < evaluated.top1 <= high
    assert evaluated.parameters == results["student"]["parameters"]
    # 3x3 kernels over 8x8 and 3x3 places, then 8 features to 2 classes.
    assert evaluated.multiply_adds == 64 * 9 * 3 * 4 + 9 * 9 * 4 * 8 + 8 * 2
    assert set(evaluated.milliseconds_per_image) == {"batch1", "batch128", "spread"}
    assert evaluated.ece == pytest.approx(results["student"]["calibration"]["ece"], abs=1e-5)


@pytest.mark.parametrize("name", ["savedmodel", "litert", "onnx"])
def test_every_format_gives_the_same(run, evaluated, name, mixed_folder):
    if name not in run[1]:
        pytest.skip(f"the extra for {name} is not installed")
    data = {"dataset": f"folder:{mixed_folder}", "val_fraction": 0.5, "resize": "crop"}
    other = kd_keras.evaluate(run[1][name], **data, timing=False, write=False, teacher=run[0])
    assert other.format == name
    assert other.top1 == pytest.approx(evaluated.top1, abs=1e-3)
    assert other.ece == pytest.approx(evaluated.ece, abs=1e-3)
    assert other.teacher["agreement"] == 1
    assert other.teacher["predictive_kl"] == pytest.approx(0, abs=1e-5)
    assert (other.parameters, other.multiply_adds) == (None, None)
    assert "evaluate the .keras file" in " ".join(other.notes)


def test_predictions_of_the_very_files_are_those_of_the_evaluation(run, evaluated):
    split = _validation(run)
    predictions = kd_keras.predict(run[0], split.names())
    assert [one.indices[0] for one in predictions] == evaluated.predicted.tolist()
    wrong = {one.file: one for one in evaluated.wrong}
    for one in predictions:
        if one.file in wrong:
            assert one.classes[0] == wrong[one.file].prediction
            assert one.probabilities[0] == pytest.approx(wrong[one.file].confidence, abs=1e-5)


def _validation(run):
    from kd_keras.job.prediction import evaluation_data, opened_model

    opened = opened_model.open_model(run[0])
    return evaluation_data.load(opened, evaluation_data.DataOptions()).validation


def test_the_files_lie_in_the_run_folder_and_name_the_wrong_images(run, evaluated, mixed_folder):
    assert evaluated.folder == run[0] / "evaluations" / "student-keras-folder-pets-validation"
    with (evaluated.folder / "wrong.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [one.file for one in evaluated.wrong]
    for row in rows:
        assert f"{mixed_folder}/{row['truth']}/" in row["file"]


def test_classes_in_another_order_are_matched_by_name(run, evaluated):
    swapped = kd_keras.evaluate(
        run[0], class_names=("dog", "cat"), timing=False, write=False, split="validation"
    )
    assert swapped.top1 == pytest.approx(1 - evaluated.top1)
    assert "matched by name" in " ".join(swapped.notes)
    np.testing.assert_array_equal(swapped.predicted, 1 - evaluated.predicted)


def test_a_dataset_of_other_classes_is_refused(run):
    with pytest.raises(ValueError, match=r"has 2 classes \(cat, dog\), and the dataset has 10"):
        kd_keras.evaluate(run[0], dataset="digits", timing=False)


def test_data_that_changed_since_the_run_are_said(run, mixed_folder):
    other = kd_keras.evaluate(run[0], val_fraction=0.25, timing=False, write=False)
    assert other.images == 6
    assert "differs from that of the run" in " ".join(other.notes)
