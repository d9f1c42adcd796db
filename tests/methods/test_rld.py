import numpy as np
import pytest

from kd_keras import methods
from kd_keras.methods.base import Batch
from kd_keras.methods.parts.standard import standardised
from kd_keras.methods.rld import rld

CONTRACT = {"ce_weight": 0.0}  # the labels alone lower much of its loss


def golden(arrays, config):
    logits = arrays["student_logits"], arrays["teacher_logits"]
    if config["logit_standardization"]:
        logits = [standardised(z) for z in logits]
    return rld(
        *logits,
        arrays["labels"],
        temperature=config["temperature"],
        confidence_temperature=config["alpha_temperature"],
        confidence_weight=config["alpha"],
        ranking_weight=config["beta"],
    )


GOLDENS = {"rld": golden}
KNOBS = {
    "temperature": 1.0,
    "confidence_temperature": 1.0,
    "confidence_weight": 1.0,
    "ranking_weight": 1.0,
}


def test_equals_the_sums_by_hand():
    # Teacher (1/2, 1/3, 1/6), student uniform, label 0: the teacher's largest class is the label.
    # scd = 1/2 ln(1/2 / 1/3) + 1/2 ln(1/2 / 2/3) = 0.058892; mcd on (2/3, 1/3): 0.056633.
    teacher = np.log(np.array([[3.0, 2.0, 1.0]], "float32"))
    student = np.zeros((1, 3), "float32")
    result = rld(student, teacher, np.array([0]), **{**KNOBS, "ranking_weight": 10.0})
    np.testing.assert_allclose(result["loss_scd"], [0.058892], atol=1e-6)
    np.testing.assert_allclose(result["loss_mcd"], [0.056633], atol=1e-6)
    np.testing.assert_allclose(result["loss"], [0.058892 + 0.56633], atol=1e-5)


def test_a_wrong_teacher_s_confidence_goes_to_the_label_and_its_ranking_above_it_is_ignored():
    student = np.array([[0.3, -1.0, 2.0, 0.5]], "float32")
    teacher = np.array([[5.0, 3.0, 1.0, 0.0]], "float32")  # label 1: class 0 is above it
    result = rld(student, teacher, np.array([1]), **KNOBS)
    p_t, p_s = (np.exp(z[0]) / np.exp(z[0]).sum() for z in (teacher, student))
    two = [np.array([p, 1 - p]) for p in (p_t[0], p_s[1])]
    np.testing.assert_allclose(result["loss_scd"], [np.sum(two[0] * np.log(two[0] / two[1]))], 1e-5)
    p, q = p_t[2:] / p_t[2:].sum(), p_s[2:] / p_s[2:].sum()
    np.testing.assert_allclose(result["loss_mcd"], [np.sum(p * np.log(p / q))], rtol=1e-5)
    nothing_below = rld(student, teacher, np.array([3]), **KNOBS)["loss_mcd"]
    np.testing.assert_array_equal(nothing_below, [0.0])


def test_standardized_logits_have_no_scale():
    method = methods.get("rld", standardize=True)
    student, teacher = np.random.default_rng(0).normal(size=(2, 4, 5)).astype("float32")

    def loss(factor):
        arguments = {"student": {"logits": factor * student}, "teacher": {"logits": teacher}}
        return method(**arguments, batch=Batch(np.arange(4)))

    np.testing.assert_allclose(loss(10.0), loss(1.0), rtol=1e-4)
    with pytest.raises(ValueError, match="rld: the student has 2 classes; expected 3 or more"):
        method.build_for({"logits": (None, 2)}, {"logits": (None, 2)})


@pytest.mark.parametrize(
    ("knob", "message"),
    [
        ({"temperature": 0}, "temperature is 0; expected a finite number > 0"),
        ({"ranking_weight": -1}, "ranking_weight is -1; expected a finite number >= 0"),
        ({"standardize": "no"}, "standardize is 'no'; expected one of"),
    ],
    ids=str,
)
def test_refuses_bad_knobs(knob, message):
    with pytest.raises(ValueError, match=message):
        methods.get("rld", **knob)
