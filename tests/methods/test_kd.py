import math

import numpy as np
import pytest

from kd_keras import losses, methods
from kd_keras.losses import softened_kl


def golden(arrays, config):
    student, teacher = arrays["student_logits"], arrays["teacher_logits"]
    return {
        "loss": softened_kl(student, teacher, temperature=config["temperature"]),
        "loss_ce": losses.cross_entropy(arrays["labels"], student),
    }


GOLDENS = {"kd": golden}


def test_equals_the_sum_by_hand():
    # Teacher (3/4, 1/4), student (1/2, 1/2): 3/4 ln 3/2 + 1/4 ln 1/2 = 0.130812 nats.
    teacher = np.array([[math.log(3), 0.0]], "float32")
    result = softened_kl(np.zeros((1, 2), "float32"), teacher, temperature=1.0)
    np.testing.assert_allclose(result, [0.130812], atol=1e-6)


def test_is_zero_at_equality_and_scales_with_temperature():
    logits = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    np.testing.assert_allclose(softened_kl(logits, logits, temperature=3.0), np.zeros(4), atol=1e-6)
    # T scales the logits and T^2 the value: kd(T*a, T*b, T) = T^2 kd(a, b, 1).
    other = logits[::-1].copy()
    at_one = np.asarray(softened_kl(logits, other, temperature=1.0))
    at_three = softened_kl(3 * logits, 3 * other, temperature=3.0)
    np.testing.assert_allclose(at_three, 9 * at_one, 1e-5)


def test_is_finite_for_logits_of_ten_thousand():
    student = np.array([[1e4, -1e4, 0.0]], "float32")
    result = softened_kl(student, -student, temperature=1.0)
    np.testing.assert_allclose(result, [2e4])


@pytest.mark.parametrize("temperature", [0, -1.0, math.nan, "warm"])
def test_refuses_a_temperature_that_is_not_above_zero(temperature):
    with pytest.raises(ValueError, match=r"temperature is .*; expected a finite number > 0"):
        methods.get("kd", temperature=temperature)
