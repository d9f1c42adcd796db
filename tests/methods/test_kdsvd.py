import numpy as np
import pytest
from keras import ops

from kd_keras import methods
from kd_keras.methods.base import Batch
from kd_keras.methods.kdsvd import kdsvd


def golden(arrays, config):
    assert config["k"] == 1, "more than one singular vector has no defined signs"
    student, teacher = (
        [arrays[f"{who}_feature_{i}"] for i in range(config["num_layers"])]
        for who in ("student", "teacher")
    )
    parts = kdsvd(student, teacher)
    return {**parts, "out_loss_per_pair": ops.mean(parts["per_pair"], axis=1)}


GOLDENS = {"kdsvd": golden}
CONTRACT = {"project": True}


def positive(*shape):
    return np.random.default_rng(0).uniform(0.5, 1.5, size=shape).astype("float32")


def test_equals_the_sum_by_hand():
    # One channel has the vector (1); of two, the one that lives has the 1.
    one = np.ones((1, 1, 1, 1), "float32")
    student = np.array([3.0, 0.0], "float32").reshape(1, 1, 1, 2)
    teacher = np.array([0.0, 2.0], "float32").reshape(1, 1, 1, 2)
    assert kdsvd([one, student], [one, student])["loss"] == 0
    # With one place the student has no other vector than (1, 0), at right angles to the teacher's:
    # its sign is 0, and so is the vector. Relations exp(-1/8) twice against exp(-1/8) and 1.
    result = kdsvd([one, student], [one, teacher])["loss"]
    np.testing.assert_allclose(result, [(1 - np.exp(-1 / 8)) ** 2], rtol=1e-5)


def test_is_zero_at_equality_and_for_other_scales_and_places():
    one, two = positive(3, 4, 4, 5), positive(3, 2, 2, 6)
    result = kdsvd([7 * one, two], [one[:, ::-1], two[:, :, ::-1]])["loss"]
    np.testing.assert_allclose(result, np.zeros(3), atol=1e-9)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_teaches_in_float16_through_a_projection(batch_size, teaches):
    method = methods.get("kdsvd", taps="a+b", project=True)
    student, teacher = {"a": (6, 6, 4), "b": (2, 2, 3)}, {"a": (3, 3, 4), "b": (4, 4, 7)}
    method.build_for(*({t: (None, *s) for t, s in m.items()} for m in (student, teacher)))
    assert [tuple(v.shape) for v in method.trainable_variables] == [(1, 1, 3, 7)]
    rng = np.random.default_rng(0)
    student, teacher = (
        {t: 50 * rng.uniform(size=(batch_size, *s)).astype("float16") for t, s in m.items()}
        for m in (student, teacher)
    )
    teaches(method, student, teacher, Batch(labels=np.zeros(batch_size, "int32")))


@pytest.mark.parametrize("size", [0.0, 1e-12, 1e6])
def test_is_finite_for_dead_and_equal_channels_of_any_size(size, loss_and_gradients):
    method = methods.get("kdsvd", taps="a+b")
    shapes = {"a": (None, 2, 2, 3), "b": (None, 2, 2, 6)}
    method.build_for(shapes, shapes)
    student = {"a": size * positive(2, 2, 2, 3), "b": size * positive(2, 2, 2, 6)}
    student["a"][0, ..., 0] = 0
    student["b"][1] = size  # rank one
    teacher = {"a": positive(2, 2, 2, 3), "b": positive(2, 2, 2, 6)}
    loss, gradients = loss_and_gradients(
        method, student, teacher, Batch(labels=np.zeros(2, "int32"))
    )
    assert np.all(np.isfinite(loss))
    for tap in ("a", "b"):
        assert np.all(np.isfinite(gradients["student", tap]))


def test_refuses_one_tap_and_unequal_channels():
    with pytest.raises(ValueError, match=r"taps are \('a',\); expected at least two"):
        methods.get("kdsvd", taps="a")
    shapes = (
        {"a": (None, 4, 4, 3), "b": (None, 4, 4, 3)},
        {"a": (None, 4, 4, 3), "b": (None, 2, 2, 5)},
    )
    with pytest.raises(
        ValueError, match=r"tap 'b' the student has 3 channels, the teacher 5.*project=True"
    ):
        methods.get("kdsvd", taps="a+b").build_for(*shapes)
