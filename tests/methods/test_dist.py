import numpy as np
import pytest

from kd_keras import methods
from kd_keras.methods.base import Batch
from kd_keras.methods.dist import dist


def golden(arrays, config):
    return dist(
        arrays["student_logits"],
        arrays["teacher_logits"],
        temperature=config["tau"],
        inter_weight=config["beta"],
        intra_weight=config["gamma"],
    )


GOLDENS = {"dist": golden}


def of_probabilities(student, teacher):
    student, teacher = (np.log(np.array(p, "float32")) for p in (student, teacher))
    return dist(student, teacher, temperature=1.0, inter_weight=2.0, intra_weight=3.0)


def logits(batch_size, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(batch_size, 4), scale=scale).astype("float32")


def test_equals_the_correlations_by_hand():
    # Rows (.5 .3 .2) and (.2 .3 .5) against themselves swapped, so centred rows are negatives
    # but for the middle: rho = -13/14 each; columns 1 and 3 give -1, the constant column 0.
    a, b = [0.5, 0.3, 0.2], [0.2, 0.3, 0.5]
    centred = np.array(a) - 1 / 3
    rho = centred @ centred[::-1] / (centred @ centred)
    result = of_probabilities([a, b], [b, a])
    np.testing.assert_allclose(result["loss_inter"], [1 - rho] * 2, rtol=1e-5)
    np.testing.assert_allclose(result["loss_intra"], 1 - (-1 + 0 - 1) / 3, rtol=1e-5)
    np.testing.assert_allclose(result["loss"], [2 * (1 - rho) + 3 * 5 / 3] * 2, rtol=1e-5)


def test_is_zero_at_equality_and_scales_with_temperature_squared():
    at_equality = dist(logits(5), logits(5), temperature=1.0, inter_weight=1.0, intra_weight=1.0)
    np.testing.assert_allclose(at_equality["loss"], np.zeros(5), atol=1e-5)
    one = dist(logits(5), logits(5, 1), temperature=1.0, inter_weight=1.0, intra_weight=1.0)
    weights = {"inter_weight": 1.0, "intra_weight": 1.0}
    hot = dist(3 * logits(5), 3 * logits(5, 1), temperature=3.0, **weights)
    np.testing.assert_allclose(hot["loss"], 9 * np.asarray(one["loss"]), rtol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_teaches_the_student_in_float16(batch_size, teaches):
    method = methods.get("dist")
    method.build_for({"logits": (None, 4)}, {"logits": (None, 4)})
    student = {"logits": logits(batch_size).astype("float16")}
    teacher = {"logits": logits(batch_size, 1).astype("float16")}
    teaches(method, student, teacher, Batch(labels=np.zeros(batch_size, "int32")))


def test_is_finite_for_logits_of_ten_thousand_and_constant_ones(loss_and_gradients):
    method = methods.get("dist", temperature=1.0)
    student = np.array([[1e4, 0, 0, -1e4], [0, 0, 0, 0]], "float32")
    batch = Batch(labels=np.zeros(2, "int32"))
    loss, gradients = loss_and_gradients(method, {"logits": student}, {"logits": logits(2)}, batch)
    assert np.all(np.isfinite(loss))
    assert np.all(np.isfinite(gradients["student", "logits"]))


def test_refuses_two_classes():
    with pytest.raises(
        ValueError, match=r"dist: the student has 2 classes; expected 3 or more\. Use the method kd"
    ):
        methods.get("dist").build_for({"logits": (None, 2)}, {"logits": (None, 2)})


@pytest.mark.parametrize("knob", ["temperature", "inter_weight", "intra_weight"])
def test_refuses_bad_knobs(knob):
    with pytest.raises(ValueError, match=f"{knob} is -1; expected a finite number"):
        methods.get("dist", **{knob: -1})
