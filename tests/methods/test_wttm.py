import numpy as np
import pytest

from kd_keras import methods
from kd_keras.methods.wttm import wttm


def golden(arrays, config):
    logits = arrays["student_logits"], arrays["teacher_logits"]
    return wttm(*logits, exponent=config["gamma"])


GOLDENS = {"wttm": golden}


def test_equals_the_sum_by_hand():
    # Teacher (4/5, 1/5): roots 0.894427 and 0.447214, sum 1.341641; q = (2/3, 1/3), student
    # (1/2, 1/2): 1.341641 * (2/3 ln 4/3 + 1/3 ln 2/3) = 1.341641 * 0.056633.
    teacher = np.log(np.array([[4.0, 1.0]], "float32"))
    result = wttm(np.zeros((1, 2), "float32"), teacher, exponent=0.5)
    np.testing.assert_allclose(result["loss"], [1.341641 * 0.056633], atol=1e-6)


def test_weighs_a_certain_teacher_once_and_an_unsure_one_more():
    # Certain: -log p_s(0) = ln 4 once. Uniform over 4: the weight is 4^(1 - 1/2) = 2.
    certain = np.array([[1e4, 0, 0, 0]], "float32")
    result = wttm(np.zeros((1, 4), "float32"), certain, exponent=0.5)
    np.testing.assert_allclose(result["loss"], [np.log(4)], rtol=1e-6)
    student = np.array([[1.0, 0, 0, 0]], "float32")
    uniform = np.zeros((1, 4), "float32")
    kl = wttm(student, uniform, exponent=1.0)["loss"]
    np.testing.assert_allclose(wttm(student, uniform, exponent=0.5)["loss"], 2 * kl, rtol=1e-5)


def test_refuses_an_exponent_of_zero():
    with pytest.raises(ValueError, match="exponent is 0; expected a finite number > 0"):
        methods.get("wttm", exponent=0)
