"""ONNX files in ONNX Runtime."""

import logging
import os

import numpy as np
import pytest

from kd_keras.exports import onnx_file, runtimes
from kd_keras.exports.metadata import Metadata

for module in ("onnx", "tf2onnx", "onnxruntime"):
    pytest.importorskip(module, reason="the extra 'onnx' is not installed")
FACTS = Metadata(tuple("abcde"), (8, 8, 3), "pad")


def write_and_open(graph, path, images, *, quantize):
    onnx_file.write(graph, path, quantize=quantize, file_metadata=FACTS, calibration=images)
    return runtimes.open_classifier(path)


def test_each_kind_of_student_in_8_bits(make, net, graph_of, noise, tmp_path):
    import onnx

    graph = graph_of(make(net))
    classifier = write_and_open(graph, tmp_path / "model.onnx", noise, quantize="int8")
    assert classifier.metadata == FACTS
    expected = graph.function()(noise)
    for count in (len(noise), 1, 3):
        result = classifier(noise[:count])
        np.testing.assert_allclose(
            result.probabilities, expected["probabilities"][:count], atol=0.1
        )
    answers = classifier(noise).logits.argmax(axis=-1)
    assert np.mean(answers == expected["logits"].numpy().argmax(axis=-1)) >= 0.95
    weights = onnx.load(tmp_path / "model.onnx").graph.initializer
    kernels = [each for each in weights if len(each.dims) == 4]
    in_8_bits = [each for each in kernels if each.data_type == onnx.TensorProto.INT8]
    assert in_8_bits
    # Of 7 bits, so that no sum of two products overflows 16 bits, as processors without VNNI add.
    assert max(np.abs(onnx.numpy_helper.to_array(each)).max() for each in in_8_bits) <= 64
    scales = [each for each in weights if each.name.endswith("_scale")]
    assert max(int(np.prod(each.dims)) for each in scales) > 4  # one for each channel


@pytest.mark.parametrize(("quantize", "tolerance"), [("none", 1e-5), ("float16", 0.02)])
def test_floating_point(net, graph_of, noise, tmp_path, quantize, tolerance):
    graph = graph_of(net("student", activation="softmax"))
    classifier = write_and_open(graph, tmp_path / "model.onnx", None, quantize=quantize)
    result = classifier(noise)
    assert np.isfinite(result.logits).all()
    expected = graph.function()(noise)["probabilities"]
    np.testing.assert_allclose(result.probabilities, expected, atol=tolerance)


def test_tf2onnx_leaves_logs_and_environment_as_they_were(
    net, graph_of, tmp_path, capfd, monkeypatch
):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.setattr(logging.root, "handlers", [])  # pytest's own; tf2onnx adds one to none
    tensorflow = logging.getLogger("tensorflow")
    monkeypatch.setattr(tensorflow, "level", logging.WARNING)
    write_and_open(graph_of(net("student")), tmp_path / "model.onnx", None, quantize="none")
    tensorflow.info("Assets written")
    tensorflow.warning("a warning")
    logging.getLogger("server").warning("another")
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "3"
    assert not logging.root.handlers
    output, errors = capfd.readouterr()
    assert output == ""
    assert errors.endswith("another\n")
    assert "Assets" not in errors
    assert "Logging error" not in errors
