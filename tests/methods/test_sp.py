import numpy as np
import pytest

from kd_keras import methods
from kd_keras.methods.base import Batch
from kd_keras.methods.sp import sp


def golden(arrays, config):
    student, teacher = (
        [arrays[f"{who}_feature_{i}"] for i in range(config["num_layers"])]
        for who in ("student", "teacher")
    )
    return sp(student, teacher)


GOLDENS = {"sp": golden}


def test_equals_the_norm_by_hand():
    # Student's rows of similarities (1, 1)/sqrt 2 twice, teacher's (1, 0) and (0, 1):
    # 2 * ((1 - 0.7071)^2 + 0.7071^2) / 4 = 1 - 0.7071.
    student = np.array([[2.0], [2.0]], "float32")
    result = sp([student], [np.eye(2, dtype="float32")])["loss"]
    np.testing.assert_allclose(result, 1 - 0.5**0.5, rtol=1e-6)


def test_is_zero_at_equality_and_under_rotation_and_scale():
    features = np.random.default_rng(0).normal(size=(5, 2, 2, 3)).astype("float32")
    turned = -4 * features[:, ::-1, :, ::-1]
    np.testing.assert_allclose(sp([features], [turned])["loss"], 0, atol=1e-12)


@pytest.mark.parametrize("batch_size", [2, 4])
def test_teaches_in_float16_past_a_dead_example(batch_size, teaches):
    method = methods.get("sp", taps="a+b")
    student, teacher = {"a": (6, 5, 4), "b": (3,)}, {"a": (4, 4, 2), "b": (7,)}
    method.build_for(*({t: (None, *s) for t, s in m.items()} for m in (student, teacher)))
    rng = np.random.default_rng(0)
    student, teacher = (
        {t: 50 * rng.normal(size=(batch_size, *s)).astype("float16") for t, s in m.items()}
        for m in (student, teacher)
    )
    if batch_size > 2:
        student["a"][0] = 0
    loss = teaches(method, student, teacher, Batch(labels=np.zeros(batch_size, "int32")))
    np.testing.assert_allclose(loss, [loss[0]] * batch_size)


def test_a_dead_example_has_a_gradient_of_zero(loss_and_gradients):
    method = methods.get("sp", taps="a")
    method.build_for({"a": (None, 3)}, {"a": (None, 3)})
    student = {"a": np.array([[0, 0, 0], [1, 2, 3], [1, 0, 1]], "float32")}
    teacher = {"a": np.array([[1, 0, 1], [1, 2, 3], [2, 1, 1]], "float32")}
    _, gradients = loss_and_gradients(method, student, teacher, Batch(labels=np.zeros(3, "int32")))
    gradient = gradients["student", "a"]
    assert np.all(np.abs(gradient) < 10)
    assert np.any(gradient[1])


def test_is_zero_for_a_batch_of_one():
    one = np.ones((1, 3), "float32")
    np.testing.assert_allclose(sp([one], [-2 * one])["loss"], 0)


def test_refuses_taps_that_are_not_in_pairs():
    with pytest.raises(ValueError, match="expected as many of each"):
        methods.get("sp", student_taps=("stage1", "stage2"))
