import math

import numpy as np
import pytest

from kd_keras import methods
from kd_keras.losses import softened_kl
from kd_keras.methods.base import Batch
from kd_keras.methods.dkd import dkd


def golden(arrays, config):
    return dkd(
        arrays["student_logits"],
        arrays["teacher_logits"],
        arrays["labels"],
        temperature=config["temperature"],
        target_weight=config["alpha"],
        nontarget_weight=config["beta"],
    )


GOLDENS = {"dkd": golden}


def logits(batch_size, seed=0, scale=3.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(batch_size, 5), scale=scale).astype("float32")


def test_equals_the_sum_by_hand():
    # Teacher (1/2, 1/3, 1/6), student uniform, target 0.
    # Target: 1/2 ln(1/2 / 1/3) + 1/2 ln(1/2 / 2/3) = 0.058892; others (2/3, 1/3) against
    # (1/2, 1/2): 2/3 ln 4/3 + 1/3 ln 2/3 = 0.056633.
    teacher = np.log(np.array([[3.0, 2.0, 1.0]], "float32"))
    student = np.zeros((1, 3), "float32")
    labels = np.array([0])
    result = dkd(
        student, teacher, labels, temperature=1.0, target_weight=2.0, nontarget_weight=10.0
    )
    np.testing.assert_allclose(result["loss_tckd"], [0.058892], atol=1e-6)
    np.testing.assert_allclose(result["loss_nckd"], [0.056633], atol=1e-6)
    np.testing.assert_allclose(result["loss"], [2 * 0.058892 + 10 * 0.056633], atol=1e-5)


def test_is_zero_at_equality():
    result = dkd(
        logits(4), logits(4), np.arange(4), temperature=3.0, target_weight=1.0, nontarget_weight=1.0
    )
    np.testing.assert_allclose(result["loss"], np.zeros(4), atol=1e-5)


def test_is_kd_taken_apart():
    # kd = target part + (1 - teacher's target probability) * part of the others.
    labels, temperature = np.array([4, 0, 2]), 2.0
    student, teacher = logits(3), logits(3, seed=1)
    result = dkd(
        student, teacher, labels, temperature=temperature, target_weight=1, nontarget_weight=1
    )
    p = np.exp(teacher / temperature)
    rest = 1 - p[np.arange(3), labels] / p.sum(axis=1)
    together = np.asarray(result["loss_tckd"]) + rest * np.asarray(result["loss_nckd"])
    np.testing.assert_allclose(
        softened_kl(student, teacher, temperature=temperature), together, 1e-5
    )


def test_label_probabilities_count_as_their_largest():
    arguments = {"temperature": 2.0, "target_weight": 1.0, "nontarget_weight": 1.0}
    soft = np.array([[0.1, 0.2, 0.7, 0, 0]], "float32")
    one = dkd(logits(1), logits(1, 1), soft, **arguments)["loss"]
    np.testing.assert_array_equal(
        one, dkd(logits(1), logits(1, 1), np.array([2]), **arguments)["loss"]
    )


@pytest.mark.parametrize("scale", [3.0, 1e4])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_teaches_the_student_in_float16(batch_size, scale, teaches):
    method = methods.get("dkd")
    method.build_for({"logits": (None, 5)}, {"logits": (None, 5)})
    student = np.clip(logits(batch_size, scale=scale), -6e4, 6e4).astype("float16")
    teacher = np.clip(logits(batch_size, 1, scale), -6e4, 6e4).astype("float16")
    batch = Batch(labels=np.zeros(batch_size, "int32"))
    assert np.any(teaches(method, {"logits": student}, {"logits": teacher}, batch) > 0)


def test_refuses_two_classes():
    with pytest.raises(
        ValueError, match=r"dkd: the student has 2 classes; expected 3 or more\. Use the method kd"
    ):
        methods.get("dkd").build_for({"logits": (None, 2)}, {"logits": (None, 2)})


@pytest.mark.parametrize(
    "knob", [{"temperature": 0}, {"target_weight": -1}, {"nontarget_weight": math.nan}], ids=str
)
def test_refuses_bad_knobs(knob):
    with pytest.raises(ValueError, match=f"{next(iter(knob))} is .*; expected a finite number"):
        methods.get("dkd", **knob)
