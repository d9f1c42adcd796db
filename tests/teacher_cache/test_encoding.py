import numpy as np
import pytest

from kd_keras.teacher_cache import encoding


@pytest.fixture
def outputs():
    rng = np.random.default_rng(0)
    return {"logits": 5 * rng.normal(size=(7, 5)), "pooled": rng.normal(size=(7, 6))}


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float16", 1e-3)])
def test_all_logits_come_back(header_of, outputs, dtype, tolerance):
    header = header_of(dtype=dtype)
    stored = encoding.encode(outputs, header)
    assert {name: a.dtype for name, a in stored.items()} == {"logits": dtype, "pooled": dtype}
    for name, array in encoding.decode(stored, header).items():
        assert array.dtype == np.float32
        np.testing.assert_allclose(array, outputs[name], rtol=tolerance, atol=tolerance)


def test_top_k_keeps_the_largest_and_the_mass_of_the_others(header_of, outputs):
    header = header_of(top_k=2)
    logits = encoding.decode(encoding.encode(outputs, header), header)["logits"]
    truth = outputs["logits"]
    order = np.argsort(-truth, axis=1)
    np.testing.assert_allclose(
        np.take_along_axis(logits, order[:, :2], 1),
        np.take_along_axis(truth, order[:, :2], 1),
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        np.log(np.exp(logits).sum(1)), np.log(np.exp(truth).sum(1)), rtol=1e-5
    )
    assert np.ptp(np.take_along_axis(logits, order[:, 2:], 1), axis=1).max() == 0


def test_of_equal_logits_the_lower_classes_are_kept(header_of):
    logits = np.array([[1, 2, 2, 2, 0], [3, 3, 3, 3, 3], [0, 1, 0, 1, 2.0]], "float32")
    stored = encoding.encode({"logits": logits, "pooled": np.zeros((3, 6))}, header_of(top_k=2))
    assert stored["logits_classes"].tolist() == [[1, 2], [0, 1], [4, 1]]
    assert stored["logits_top"].tolist() == [[2, 2], [3, 3], [2, 1]]


def test_outputs_that_cannot_be_stored_are_refused(header_of, outputs):
    huge = {**outputs, "logits": outputs["logits"] * 1e5}
    encoding.encode(huge, header_of(dtype="float32"))
    with pytest.raises(ValueError, match="logits are too large for float16"):
        encoding.encode(huge, header_of(dtype="float16"))
    outputs["pooled"][2, 3] = np.nan
    with pytest.raises(ValueError, match="pooled are NaN or infinite for some images"):
        encoding.encode(outputs, header_of())


def test_probabilities_are_not_taken_for_logits(header_of, outputs):
    scores = np.exp(outputs["logits"])
    outputs["logits"] = scores / scores.sum(axis=1, keepdims=True)
    with pytest.raises(ValueError, match=r"the teacher's logits are probabilities.*the logarithms"):
        encoding.encode(outputs, header_of())
    outputs["logits"] = np.log(outputs["logits"])
    encoding.encode(outputs, header_of())
