import numpy as np
import pytest

from kd_keras.teacher_cache.onnx_teacher import OnnxTeacher, _weight_files


@pytest.fixture
def onnx_file(tmp_path):
    """Channels first: the mean over places, times a matrix."""
    return write_model(tmp_path / "teacher.onnx")


def write_model(path, *, last="", half=False):
    """An ONNX file whose scores go through the operation `last`; `half` gives them in float16."""
    onnx = pytest.importorskip("onnx", reason="the extra 'onnx' is not installed")
    pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
    helper, kinds = onnx.helper, onnx.TensorProto
    matrix = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    names = ["sums", *(["ends"] if last else []), *(["halves"] if half else [])]
    names[-1] = "scores"
    after = [helper.make_node(last, names[:1], names[1:2])] if last else []
    if half:
        after.append(helper.make_node("Cast", names[-2:-1], names[-1:], to=kinds.FLOAT16))
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["flat"]),
            helper.make_node("MatMul", ["flat", "matrix"], names[:1]),
            *after,
        ],
        "teacher",
        [helper.make_tensor_value_info("x", kinds.FLOAT, ["batch", 3, 8, 8])],
        [
            helper.make_tensor_value_info(
                "scores", kinds.FLOAT16 if half else kinds.FLOAT, ["batch", 5]
            )
        ],
        [onnx.numpy_helper.from_array(matrix, "matrix")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(path))
    return path, matrix


def test_an_onnx_teacher_sees_the_pixels_it_expects(onnx_file, example):
    path, matrix = onnx_file
    teacher = OnnxTeacher(path, preprocess="0..1")
    images = example.split.images[:4]
    expected = images.mean(axis=(1, 2)) / 255 @ matrix
    np.testing.assert_allclose(teacher(images)["logits"], expected, rtol=1e-4, atol=1e-5)
    assert teacher.fingerprint != OnnxTeacher(path).fingerprint


def test_an_onnx_teacher_s_classes_are_put_in_our_order(onnx_file, example):
    path, _ = onnx_file
    teacher_names, class_names = list("abcde"), list("ecdab")
    images = example.split.images[:4]
    plain = OnnxTeacher(path)(images)["logits"]
    ordered = OnnxTeacher(path, classes=(teacher_names, class_names))(images)["logits"]
    np.testing.assert_array_equal(ordered, plain[:, [4, 2, 3, 0, 1]])


def test_a_softmax_at_the_end_changes_no_soft_target(tmp_path, example):
    """The same network, once with a softmax; targets at a temperature of 4."""
    images = example.split.images[:6]
    targets = []
    for last in ("", "Softmax"):
        path, _ = write_model(tmp_path / f"last{last}.onnx", last=last)
        softened = np.exp(OnnxTeacher(path, preprocess="0..1")(images)["logits"] / 4)
        targets.append(softened / softened.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(targets[1], targets[0], rtol=1e-5)
    assert np.ptp(targets[0]) > 0.02  # not the even targets that softened probabilities give


def test_sigmoids_at_the_end_become_their_inputs(tmp_path, example):
    images = example.split.images[:6]
    options = {"preprocess": "0..1", "multi_label": True}
    plain, sigmoids = (
        OnnxTeacher(write_model(tmp_path / f"last{last}.onnx", last=last)[0], **options)
        for last in ("", "Sigmoid")
    )
    expected = images.mean(axis=(1, 2)) / 255 @ write_model(tmp_path / "other.onnx")[1]
    np.testing.assert_allclose(plain(images)["logits"], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(sigmoids(images)["logits"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("half", [False, True])
def test_probabilities_of_exactly_0_and_1_have_finite_logits(tmp_path, example, half):
    """Pixels of 0..255 saturate the sigmoids, and in float16 also small probabilities are 0."""
    images = example.split.images[:6]
    path, matrix = write_model(tmp_path / "t.onnx", last="Sigmoid", half=half)
    logits = OnnxTeacher(path, multi_label=True)(images)["logits"]
    inputs = images.mean(axis=(1, 2)) @ matrix
    assert logits.dtype == np.float32
    # The largest float32 below 1 is 1 - 2^-24, of logit 16.6; ln of the smallest one is -87.3.
    np.testing.assert_allclose(logits[inputs > 20], 24 * np.log(2), rtol=1e-6)
    np.testing.assert_allclose(logits[inputs < -90], -87.33655, rtol=1e-6)
    assert (inputs > 20).sum() > 3
    assert (inputs < -90).sum() > 3


def test_a_softmax_in_float16_has_finite_logits(tmp_path, example):
    path, _ = write_model(tmp_path / "t.onnx", last="Softmax", half=True)
    logits = OnnxTeacher(path)(example.split.images[:6])["logits"]
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()


def test_what_is_no_onnx_classifier_is_refused(tmp_path):
    pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(ValueError, match=r"broken\.onnx cannot be opened as an ONNX model"):
        OnnxTeacher(path)


def test_weights_beside_the_file_belong_to_it_whatever_the_length_of_their_name(tmp_path):
    for name in ("w.bin", "w" * 200 + ".bin"):
        (tmp_path / name).write_bytes(b"weights")
        length = bytes(
            [len(name)] if len(name) < 128 else [len(name) % 128 + 128, len(name) // 128]
        )
        graph = b"...\x0a\x08location\x12" + length + name.encode() + b"\x12..."
        assert _weight_files(tmp_path / "model.onnx", graph) == [tmp_path / name]
