import numpy as np
import pytest

from kd_keras.exports.runtimes import scores

LOGITS = np.log(np.array([[1.0, 3.0], [1.0, 1.0]], np.float32))
PROBABILITIES = np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)


@pytest.mark.parametrize(
    "outputs",
    [
        {"logits": LOGITS},
        {"probabilities": PROBABILITIES},
        {"output_0": LOGITS},
        {"output_0": PROBABILITIES},
        {"sigmoid": PROBABILITIES[:, 1:]},
        {"logits": LOGITS, "probabilities": PROBABILITIES, "features": np.zeros((2, 3, 3, 1))},
    ],
)
def test_logits_and_probabilities_of_either(outputs):
    result = scores.from_outputs(outputs)
    np.testing.assert_allclose(result.probabilities, PROBABILITIES, rtol=1e-6)
    differences = result.logits[:, 1] - result.logits[:, 0]
    np.testing.assert_allclose(differences, [np.log(3), 0], atol=1e-6)


def test_rounded_probabilities_need_not_sum_to_one():
    eighth = np.full((1, 8), 31 / 256, np.float32)  # 1/8, a step too small in each class
    assert scores.from_outputs({"y": eighth}, rounding=1 / 256).probabilities[0, 0] == eighth[0, 0]
    assert scores.from_outputs({"y": eighth}).probabilities[0, 0] == pytest.approx(1 / 8)  # logits


def test_a_probability_of_zero_has_a_finite_logit():
    result = scores.from_outputs({"probabilities": np.array([[0.0, 1.0]])})
    assert np.isfinite(result.logits).all()


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"a": LOGITS, "b": LOGITS}, "gives a, b; expected an output named logits"),
        ({"a": np.zeros((2, 3, 3))}, r"shape \(2, 3, 3\); expected \(images, classes\)"),
        ({"a": np.array([[7.0]])}, "one output that is not a probability"),
    ],
)
def test_what_is_no_classifier(outputs, message):
    with pytest.raises(ValueError, match=message):
        scores.from_outputs(outputs)


@pytest.mark.parametrize("name", ["logits", "probabilities", "output_0"])
@pytest.mark.parametrize("output", ["logits", "probabilities"])
def test_of_several_classes_each_has_a_sigmoid(name, output):
    logits = np.array([[0.0, np.log(3), -np.log(3)]], np.float32)
    probabilities = np.array([[0.5, 0.75, 0.25]], np.float32)
    if name not in (output, "output_0"):
        return
    outputs = {name: logits if output == "logits" else probabilities}
    result = scores.from_outputs(outputs, multi_label=True)
    np.testing.assert_allclose(result.logits, logits, atol=1e-6)
    np.testing.assert_allclose(result.probabilities, probabilities, rtol=1e-6)


def test_sigmoids_of_0_and_1_have_finite_logits():
    result = scores.from_outputs({"probabilities": np.array([[0.0, 1.0]])}, multi_label=True)
    assert np.isfinite(result.logits).all()
