"""One student in four formats, each run by its own program, gives Keras's numbers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kd_keras.exports import metadata, runtimes, saved_model
from kd_keras.exports.metadata import Metadata

NAMES = tuple("abcde")


@pytest.fixture(scope="module")
def model_files(net, server, tmp_path_factory):
    """Files of one student by format, and the pixels (33, 8, 8, 3) with their Keras logits."""
    folder = tmp_path_factory.mktemp("formats")
    student = net("student")
    pixels = np.random.default_rng(0).integers(0, 256, (33, 8, 8, 3), dtype=np.uint8)
    saved_model.keras_file(student, folder / "student.keras")
    saved_model.saved_model(
        student, folder / "served", class_names=NAMES, resize="pad", serve=server
    )
    paths = {"keras": folder / "student.keras", "savedmodel": folder / "served"}
    if _installed("ai_edge_litert"):
        paths["litert"] = folder / "student.tflite"
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "served"))
        paths["litert"].write_bytes(converter.convert())
    if _installed("onnxruntime") and _installed("tf2onnx"):
        paths["onnx"] = folder / "student.onnx"
        student.export(paths["onnx"], format="onnx", verbose=False)
    return paths, pixels, student.predict(pixels.astype("float32"), verbose=0)


def _installed(module):
    import importlib.util

    return importlib.util.find_spec(module) is not None


def _path(paths, name):
    if name not in paths:
        pytest.skip(f"the extra for {name} is not installed")
    return paths[name]


@pytest.mark.parametrize("name", ["keras", "savedmodel", "litert", "onnx"])
def test_each_program_gives_keras_numbers(model_files, name):
    paths, pixels, logits = model_files
    classifier = runtimes.open_classifier(_path(paths, name))
    assert classifier.format == name
    assert classifier.metadata.image_shape == (8, 8, 3)
    for count in (33, 1, 5):
        scores = classifier(pixels[:count])
        np.testing.assert_allclose(scores.logits, logits[:count], rtol=1e-4, atol=1e-4)
        expected = keras.ops.softmax(logits[:count])
        np.testing.assert_allclose(scores.probabilities, expected, rtol=1e-4, atol=1e-5)


def test_a_saved_model_knows_its_classes_and_resizing(model_files):
    classifier = runtimes.open_classifier(model_files[0]["savedmodel"])
    assert classifier.metadata == Metadata(NAMES, (8, 8, 3), "pad")


def test_litert_metadata_do_not_change_the_numbers(model_files, tmp_path):
    paths, pixels, logits = model_files
    packed = tmp_path / "packed.tflite"
    packed.write_bytes(_path(paths, "litert").read_bytes())
    metadata.pack_into_litert(packed, Metadata(NAMES, (8, 8, 3), "crop"))
    classifier = runtimes.open_classifier(packed)
    assert classifier.metadata == Metadata(NAMES, (8, 8, 3), "crop")
    np.testing.assert_allclose(classifier(pixels).logits, logits, rtol=1e-4, atol=1e-4)


def test_other_pixel_values(net, model_files, tmp_path):
    """A model of pixels in 0..1 gives its numbers for our pixels."""
    _, pixels, _ = model_files
    student = net("student")
    student.save(tmp_path / "model.keras")
    classifier = runtimes.open_classifier(tmp_path / "model.keras", preprocess="0..1")
    expected = student.predict(pixels.astype("float32") / 255, verbose=0)
    np.testing.assert_allclose(classifier(pixels).logits, expected, rtol=1e-4, atol=1e-5)


def test_a_litert_model_of_a_fixed_batch_runs_in_parts_of_it(tmp_path):
    pytest.importorskip("ai_edge_litert", reason="the extra 'litert' is not installed")
    images = keras.Input((8, 8, 3), batch_size=2)
    features = keras.layers.Conv2D(4, 3)(images)
    logits = keras.layers.Dense(5)(keras.ops.reshape(features, (2, 144)))
    fixed = keras.Model(images, logits)
    path = tmp_path / "fixed.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(fixed).convert())
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    expected = fixed.predict(pixels.astype("float32"), batch_size=2, verbose=0)
    classifier = runtimes.open_classifier(path)
    for count in (2, 5, 1, 6):
        scores = classifier(pixels[:count])
        np.testing.assert_allclose(scores.logits, expected[:count], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.keras", b"PK\x03\x04 half", "is not a .keras file, or is truncated"),
        ("model.tflite", b"PK\x03\x04 another format", "is not a LiteRT model"),
        ("model.tflite", b"\x1c\x00\x00\x00TFL3 half", "cannot be opened as a LiteRT model"),
        ("model.onnx", b"PK\x03\x04 another format", "cannot be opened as an ONNX model"),
        ("model.pt", b"", r"ends in '.pt'; expected .keras, .h5"),
    ],
)
def test_a_file_that_is_not_what_its_name_says(tmp_path, name, content, message):
    if name.endswith((".tflite", ".onnx")):
        pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
        pytest.importorskip("ai_edge_litert", reason="the extra 'litert' is not installed")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        runtimes.open_classifier(tmp_path / name)


def test_nothing_there_and_a_folder_of_something_else(tmp_path):
    with pytest.raises(FileNotFoundError, match="no model at"):
        runtimes.open_classifier(tmp_path / "none.keras")
    with pytest.raises(ValueError, match=r"without saved_model\.pb"):
        runtimes.open_classifier(tmp_path)
