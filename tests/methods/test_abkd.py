import numpy as np
import pytest

from kd_keras import losses, methods
from kd_keras.methods.abkd import abkd


def golden(arrays, config):
    return abkd(
        arrays["student_logits"],
        arrays["teacher_logits"],
        temperature=config["temperature"],
        teacher_exponent=config["alpha"],
        student_exponent=config["beta"],
    )


GOLDENS = {"abkd": golden}
RNG = np.random.default_rng(0)
STUDENT, TEACHER = (RNG.normal(size=(4, 5)).astype("float32") for _ in range(2))


def test_equals_the_sum_by_hand():
    # a = b = 1: half the squared distance. Teacher (3/4, 1/4), student (1/2, 1/2): 1/16.
    teacher = np.log(np.array([[3.0, 1.0]], "float32"))
    student = np.zeros((1, 2), "float32")
    result = abkd(student, teacher, temperature=1.0, teacher_exponent=1.0, student_exponent=1.0)
    np.testing.assert_allclose(result["loss"], [1 / 16], rtol=1e-5)


def test_is_zero_at_equality():
    result = abkd(STUDENT, STUDENT, temperature=4.0, teacher_exponent=0.8, student_exponent=0.3)
    np.testing.assert_allclose(result["loss"], np.zeros(4), atol=1e-6)


def test_nears_both_kl_divergences():
    near = {"temperature": 1.0, "teacher_exponent": 1.0, "student_exponent": 1e-2}
    kl = losses.softened_kl(STUDENT, TEACHER, temperature=1.0)
    np.testing.assert_allclose(abkd(STUDENT, TEACHER, **near)["loss"], kl, rtol=0.03)
    turned = {**near, "teacher_exponent": 1e-2, "student_exponent": 1.0}
    reverse = losses.softened_kl(TEACHER, STUDENT, temperature=1.0)
    np.testing.assert_allclose(abkd(STUDENT, TEACHER, **turned)["loss"], reverse, rtol=0.03)


@pytest.mark.parametrize("knob", ["temperature", "teacher_exponent", "student_exponent"])
def test_refuses_zero(knob):
    with pytest.raises(ValueError, match=f"{knob} is 0; expected a finite number > 0"):
        methods.get("abkd", **{knob: 0})
