import numpy as np
import pytest

from kd_keras import methods
from kd_keras.methods.ttm import ttm


def golden(arrays, config):
    logits = arrays["student_logits"], arrays["teacher_logits"]
    return ttm(*logits, exponent=config["gamma"])


GOLDENS = {"ttm": golden}


def test_equals_the_sum_by_hand():
    # Teacher 4:1 to the power 1/2 is 2:1, so q = (2/3, 1/3); student (1/2, 1/2):
    # 2/3 ln 4/3 + 1/3 ln 2/3 = 0.056633 nats.
    teacher = np.log(np.array([[4.0, 1.0]], "float32"))
    result = ttm(np.zeros((1, 2), "float32"), teacher, exponent=0.5)
    np.testing.assert_allclose(result["loss"], [0.056633], atol=1e-6)


def test_is_zero_for_the_transformed_teacher():
    teacher = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    result = ttm(0.3 * teacher, teacher, exponent=0.3)
    np.testing.assert_allclose(result["loss"], np.zeros(4), atol=1e-6)


def test_refuses_an_exponent_of_zero():
    with pytest.raises(ValueError, match="exponent is 0; expected a finite number > 0"):
        methods.get("ttm", exponent=0)
