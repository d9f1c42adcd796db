"""`kd_keras.export`: a trained student in every format, in the program of each."""

import json
import resource
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import kd_keras
from kd_keras import data
from kd_keras.exports import litert, runtimes
from kd_keras.job.export_command import export as job
from kd_keras.job.export_command import export_record
from kd_keras.results.metrics import timing

pytest.importorskip("ai_edge_litert", reason="the extra 'litert' is not installed")
pytest.importorskip("tf2onnx", reason="the extra 'onnx' is not installed")
pytestmark = pytest.mark.slow  # seven conversions
FILES = {
    *("student-savedmodel", "student.tflite", "student-float16.tflite", "student-int8.tflite"),
    *("student.onnx", "student-float16.onnx", "student-int8.onnx"),
}


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Keeps the stores in a folder of the test, and times in few calls."""
    latency = timing.latency
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "FEWEST_CALLS", 1)
        patch.setattr(timing, "latency", lambda *arguments: latency(*arguments, seconds=0.001))
        yield patch


@pytest.fixture(scope="module")
def digits(quick, tmp_path_factory):
    quick.setenv("KD_KERAS_CACHE", str(tmp_path_factory.mktemp("cache")))
    return data.load("digits", tell=lambda note: None)


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    """The .keras file of a student that was trained on digits for some seconds."""
    keras.utils.set_random_seed(0)
    images = keras.Input((8, 8, 1))
    x = layers.Conv2D(16, 3, padding="same")(layers.Rescaling(1 / 16)(images))
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2D(32, 3, strides=2, activation="relu")(x)
    student = keras.Model(images, layers.Dense(10)(layers.Flatten()(x)), name="student")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    student.compile(keras.optimizers.Adam(0.003), loss)
    pixels = digits.train.images_at(slice(None)).astype("float32")
    student.fit(pixels, digits.train.labels, batch_size=128, epochs=10, verbose=0)
    path = tmp_path_factory.mktemp("model") / "student.keras"
    student.save(path)
    return path


@pytest.fixture(scope="module")
def exported(trained, digits, tmp_path_factory):
    """(folder, what `export` returned) for all formats and quantizations."""
    folder = tmp_path_factory.mktemp("exports")
    return folder, job.export(
        trained,
        formats=["savedmodel", "litert", "onnx"],
        quantize=["none", "float16", "int8"],
        out=folder,
        dataset=digits,
        calibration_images=200,
    )


def test_every_file_agrees_with_keras_on_real_images(exported, digits):
    folder, results = exported
    assert set(results["files"]) == FILES
    assert results["keras"]["top1"] > 0.9
    for name, entry in results["files"].items():
        assert (folder / name).exists()
        assert entry["images"] == len(digits.validation)
        least = 0.97 if "int8" in name else 0.995 if "float16" in name else 1.0
        assert entry["agreement"] >= least, name
        assert entry["low"] <= entry["change"] <= entry["high"]
        assert entry["top1"] == pytest.approx(results["keras"]["top1"] + entry["change"])


def test_each_file_gives_alone_what_the_check_measured(exported, digits, trained):
    folder, results = exported
    images = digits.validation.images_at(slice(None))
    logits = keras.models.load_model(trained).predict(images.astype("float32"), verbose=0)
    for name, entry in results["files"].items():
        classifier = runtimes.open_classifier(folder / name)
        answers = classifier(images).logits.argmax(axis=-1)
        assert np.mean(answers == logits.argmax(axis=-1)) == pytest.approx(entry["agreement"])
        assert classifier.metadata.class_names == digits.class_names
        assert classifier.metadata.resize == digits.resize


def test_the_record_beside_the_files(exported, trained):
    folder, results = exported
    entries = json.loads((folder / "exports.json").read_text())["files"]
    assert set(entries) == FILES
    assert entries["student.onnx"]["model"] == str(trained)
    assert entries["student-int8.tflite"]["calibration_images"] == 200
    assert entries["student-int8.tflite"] == results["files"]["student-int8.tflite"]
    assert sorted(path.name for path in folder.iterdir()) == sorted([*FILES, "exports.json"])


def test_another_model_of_the_folder_is_refused_unless_overwritten(
    exported, trained, digits, tmp_path
):
    other = tmp_path / "student.keras"
    other.write_bytes(trained.read_bytes())
    folder, _ = exported
    before = (folder / "student.tflite").read_bytes()
    with pytest.raises(ValueError, match=rf"is of {trained}; expected a folder for .*{other}"):
        job.export(other, out=folder, dataset=digits)
    assert (folder / "student.tflite").read_bytes() == before
    job.export(other, out=folder, dataset=digits, overwrite=True)
    assert export_record.read(folder)["student.tflite"]["model"] == str(other)
    job.export(trained, out=folder, dataset=digits, overwrite=True)


def test_a_file_that_fails_its_check_leaves_the_earlier_one(exported, trained, digits, monkeypatch):
    folder, _ = exported
    before = (folder / "student.tflite").read_bytes()
    write = litert.write

    def of_other_weights(graph, path, **options):
        graph.model.layers[-1].bias.assign(np.arange(10) * 3.0)
        write(graph, path, **options)

    monkeypatch.setattr(litert, "write", of_other_weights)
    with pytest.raises(ValueError, match=r"^student.tflite differs by .* from the Keras model"):
        job.export(trained, out=folder, dataset=digits)
    assert (folder / "student.tflite").read_bytes() == before
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_a_full_disk_leaves_the_earlier_file(exported, trained, digits, monkeypatch):
    folder, _ = exported
    before = (folder / "student.tflite").read_bytes()
    write_bytes = Path.write_bytes

    def on_a_full_disk(path, content):
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, limits[1]))
        try:
            return write_bytes(path, content)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    monkeypatch.setattr(Path, "write_bytes", on_a_full_disk)
    with pytest.raises(
        OSError, match=r"File too large. The earlier student.tflite stays as it was"
    ):
        job.export(trained, out=folder, dataset=digits)
    assert (folder / "student.tflite").read_bytes() == before
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_without_a_dataset_it_is_checked_on_noise_and_said(trained, tmp_path, capsys):
    results = kd_keras.export(trained, out=tmp_path)
    assert "top1" not in results["files"]["student.tflite"]
    assert runtimes.open_classifier(tmp_path / "student.tflite").metadata.class_names is None
    output = capsys.readouterr()
    assert "compared on 32 images of noise" in output.out
    assert "warning: without a dataset" in output.err
    with pytest.raises(ValueError, match="int8 and there is no dataset"):
        kd_keras.export(trained, quantize=["int8"], out=tmp_path)


def test_a_keras_model_in_memory_with_other_pixels(net, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = net("pets")
    results = kd_keras.export(model, preprocess="0..1")
    assert results["folder"] == "pets-exports"
    noise = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    result = runtimes.open_classifier(tmp_path / "pets-exports" / "pets.tflite")(noise)
    np.testing.assert_allclose(result.logits, model(noise / np.float32(255)), rtol=1e-4, atol=1e-5)


def test_another_number_of_classes_and_a_model_of_another_format(exported, net, digits, tmp_path):
    inputs = keras.Input((8, 8, 1))
    few = keras.Model(inputs, layers.Dense(4)(layers.Flatten()(inputs)), name="few")
    with pytest.raises(ValueError, match=r"few has 4 classes, and its .* 10 \(0, 1, 2, ...\)"):
        job.export(few, dataset=digits, out=tmp_path)
    with pytest.raises(ValueError, match=r"student.onnx; expected a .keras or .h5 file, or a run"):
        job.export(exported[0] / "student.onnx", out=tmp_path)
    assert list(tmp_path.iterdir()) == []
