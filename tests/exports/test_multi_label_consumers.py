"""A trained student of images with several classes, in each program that serves its exports.

Every program gives Keras's own sigmoids to 1e-5; with 8-bit numbers, the same answer for nearly
every image of every class.
"""

import keras
import numpy as np
import pytest

from kd_keras import Distiller
from kd_keras.exports import classifier_graph, litert, onnx_file, saved_model
from kd_keras.exports.metadata import Metadata

pytestmark = pytest.mark.slow  # 15 seconds together

NAMES = ("red", "green", "blue")
FACTS = Metadata(NAMES, (8, 8, 3), "pad", multi_label=True)
FORMATS = {"litert": (litert, "model.tflite"), "onnx": (onnx_file, "model.onnx")}


@pytest.fixture(scope="module")
def pictures():
    """500 noisy images, (500, 8, 8, 3) uint8, and which of their channels are bright, (500, 3)."""
    rng = np.random.default_rng(0)
    labels = (rng.random((500, 3)) < 0.4).astype("int32")
    pixels = rng.integers(0, 200, (500, 8, 8, 3)) + 20 * labels[:, None, None]
    return pixels.astype(np.uint8), labels


@pytest.fixture(scope="module", params=["logits", "sigmoids"])
def trained(request, net, pictures):
    """A student that ends in logits, and the same one with sigmoids behind them."""
    images, labels = pictures
    inputs = keras.Input((8, 8, 3))
    pixels = keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    student = keras.Model(inputs, net("inner", classes=3)(pixels), name="student")
    distiller = Distiller(student, label_mode="multi")
    distiller.compile(keras.optimizers.Adam(0.005))
    distiller.fit(images.astype("float32"), labels, epochs=10, verbose=0)
    if request.param == "logits":
        return student
    sigmoids = keras.layers.Activation("sigmoid")(student.output)
    return keras.Model(student.input, sigmoids, name="with_sigmoids")


@pytest.fixture(scope="module")
def sigmoids(trained, pictures):
    """(33, 3) float32, what Keras itself gives."""
    outputs = trained.predict(pictures[0][:33].astype("float32"), verbose=0)
    return outputs if trained.name == "with_sigmoids" else 1 / (1 + np.exp(-outputs))


def test_a_saved_model_gives_keras_s_logits_and_sigmoids(
    trained, pictures, consumers, server, tmp_path
):
    images, folder = pictures[0][:33], tmp_path / "model"
    options = {"class_names": NAMES, "images": pictures[0][:8], "serve": server}
    saved_model.saved_model(trained, folder, multi_label=True, **options)
    # Not from the sigmoids, whose rounding counts where they are nearly 0 or 1.
    with_sigmoids = trained.name == "with_sigmoids"
    before_sigmoids = trained.layers[-1].input if with_sigmoids else trained.output
    logits = keras.Model(trained.input, before_sigmoids)(images.astype("float32")).numpy()
    consumers.check(folder, images, logits, command=True, multi_label=True)
    text = consumers.shown(folder)
    for words in ("signature_def['serving_default']", "outputs['probabilities']", "shape: (-1, 3)"):
        assert words in text
    assert (folder / "assets" / "class_names.txt").read_text().split() == list(NAMES)


@pytest.mark.parametrize("form", FORMATS)
def test_files_give_keras_s_sigmoids(trained, sigmoids, pictures, consumers, tmp_path, form):
    outputs = _outputs(form, trained, pictures, consumers, tmp_path, quantize="none")
    np.testing.assert_allclose(outputs["probabilities"][:33], sigmoids, atol=1e-5)
    of_logits = 1 / (1 + np.exp(-outputs["logits"][:33]))
    np.testing.assert_allclose(of_logits, sigmoids, atol=1e-5)


@pytest.mark.parametrize("form", FORMATS)
def test_files_of_8_bits_answer_nearly_every_image_alike(
    trained, pictures, consumers, tmp_path, form
):
    outputs = trained.predict(pictures[0].astype("float32"), verbose=0)
    probabilities = outputs if trained.name == "with_sigmoids" else 1 / (1 + np.exp(-outputs))
    served = _outputs(form, trained, pictures, consumers, tmp_path, quantize="int8")
    same = ((served["probabilities"] >= 0.5) == (probabilities >= 0.5)).mean(axis=0)
    assert (same >= 0.98).all(), dict(zip(NAMES, same, strict=True))
    np.testing.assert_allclose(served["probabilities"], probabilities, atol=0.1)
    np.testing.assert_array_equal(served["logits"] > 0, served["probabilities"] > 0.5)


def _outputs(form, model, pictures, consumers, tmp_path, *, quantize):
    """What the format's own program gives for all images."""
    module, name = FORMATS[form]
    graph = classifier_graph.from_model(model, (8, 8, 3), multi_label=True)
    calibration = pictures[0][:100] if quantize == "int8" else None
    module.write(
        graph, tmp_path / name, quantize=quantize, file_metadata=FACTS, calibration=calibration
    )
    run = consumers.litert_file if form == "litert" else consumers.onnx_file
    return run(tmp_path / name, pictures[0])
