"""LiteRT files in LiteRT's interpreter."""

import resource

import keras
import numpy as np
import pytest

from kd_keras import models
from kd_keras.exports import classifier_graph, litert, runtimes
from kd_keras.exports.metadata import Metadata

interpreter = pytest.importorskip(
    "ai_edge_litert.interpreter", reason="the extra 'litert' is not installed"
)
FACTS = Metadata(tuple("abcde"), (8, 8, 3), "pad")


def write_and_open(graph, path, images, *, quantize):
    litert.write(graph, path, quantize=quantize, file_metadata=FACTS, calibration=images)
    return runtimes.open_classifier(path)


def check_whole_numbers(path):
    """Asserts that a file computes in whole numbers only, and takes pixels as they are."""
    model = interpreter.Interpreter(model_path=str(path))
    model.allocate_tensors()
    (images,) = model.get_input_details()
    assert (images["dtype"], images["quantization"]) == (np.uint8, (1.0, 0))
    assert images["shape_signature"][0] == -1
    assert [output["dtype"] for output in model.get_output_details()] == [np.uint8] * 2
    tensors = model.get_tensor_details()
    assert not [tensor["name"] for tensor in tensors if np.issubdtype(tensor["dtype"], np.floating)]
    scales = [tensor["quantization_parameters"]["scales"] for tensor in tensors]
    assert max(map(len, scales)) > 4  # one for each channel of a convolution


def test_each_kind_of_student_in_whole_numbers(make, net, graph_of, noise, tmp_path):
    graph = graph_of(make(net))
    classifier = write_and_open(graph, tmp_path / "model.tflite", noise, quantize="int8")
    check_whole_numbers(tmp_path / "model.tflite")
    assert classifier.metadata == FACTS
    expected = graph.function()(noise)
    for count in (len(noise), 1, 3):
        result = classifier(noise[:count])
        np.testing.assert_allclose(
            result.probabilities, expected["probabilities"][:count], atol=0.05
        )
    answers = classifier(noise).logits.argmax(axis=-1)
    assert np.mean(answers == expected["logits"].numpy().argmax(axis=-1)) >= 0.95


def test_half_of_the_weights_size_and_close_numbers(net, graph_of, noise, tmp_path):
    graph = graph_of(net("student", width=64))
    files = {}
    for quantize in ("none", "float16"):
        files[quantize] = tmp_path / f"{quantize}.tflite"
        result = write_and_open(graph, files[quantize], None, quantize=quantize)(noise)
        tolerance = 1e-5 if quantize == "none" else 0.02
        np.testing.assert_allclose(
            result.probabilities, graph.function()(noise)["probabilities"], atol=tolerance
        )
    sizes = {name: path.stat().st_size for name, path in files.items()}
    assert sizes["float16"] < 0.6 * sizes["none"]


def test_a_layer_that_litert_does_not_have_is_reported_with_a_message(
    graph_of, noise, tmp_path, capfd
):
    inputs = keras.Input((8, 8, 3))
    odd = keras.ops.erfinv(keras.layers.Flatten()(inputs) / 300)
    model = keras.Model(inputs, keras.layers.Dense(5)(odd), name="odd")
    with pytest.raises(ValueError, match=r"'odd' cannot be converted to LiteRT \(.*Erfinv"):
        write_and_open(graph_of(model), tmp_path / "model.tflite", noise, quantize="none")
    assert capfd.readouterr() == ("", "")
    assert not (tmp_path / "model.tflite").exists()


def test_a_full_disk_while_converting_is_no_fault_of_the_model(net, graph_of, tmp_path):
    graph = graph_of(net("student"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_and_open(graph, tmp_path / "model.tflite", None, quantize="none")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_int8_without_calibration_images_is_refused(net, graph_of, tmp_path):
    with pytest.raises(ValueError, match="quantize is int8 and calibration is empty; expected uin"):
        write_and_open(graph_of(net("student")), tmp_path / "model.tflite", None, quantize="int8")


@pytest.mark.parametrize(
    "name",
    [
        "resnet8",
        pytest.param("mobilenetv2", marks=pytest.mark.sweep),
        pytest.param("shufflenetv2", marks=pytest.mark.sweep),
    ],
)
def test_zoo_students_in_whole_numbers(name, tmp_path):
    keras.utils.set_random_seed(0)
    student = models.get(name, num_classes=5, input_shape=(16, 16, 3))
    coarse = np.random.default_rng(0).integers(0, 256, (64, 4, 4, 3), dtype=np.uint8)
    images = coarse.repeat(4, axis=1).repeat(4, axis=2)
    for _ in range(20):  # moving statistics of its batch norms
        student(images.astype("float32"), training=True)
    graph = classifier_graph.from_model(student, (16, 16, 3))
    classifier = write_and_open(graph, tmp_path / "model.tflite", images, quantize="int8")
    check_whole_numbers(tmp_path / "model.tflite")
    expected = graph.function()(images)["logits"].numpy()
    logits = classifier(images).logits
    assert np.corrcoef(logits.ravel(), expected.ravel())[0, 1] > 0.9
