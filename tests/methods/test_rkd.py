import numpy as np
import pytest

from kd_keras import methods
from kd_keras.methods.base import Batch
from kd_keras.methods.rkd import rkd


def golden(arrays, config):
    return rkd(
        arrays["student_feature"],
        arrays["teacher_feature"],
        distance_weight=config["distance_weight"],
        angle_weight=config["angle_weight"],
        squared=config["squared"],
        smallest=config["pdist_eps"],
    )


GOLDENS = {"rkd": golden}


def test_equals_the_sums_by_hand():
    # On a line: student 0, 1, 3 with distances 1, 2, 3 and mean 2, teacher 0, 1, 2 with mean 4/3.
    # d/mean: (1/2, 1, 3/2) against (3/4, 3/4, 3/2): 2 * (2 * 0.5 * (1/4)^2) / 9 = 1/72.
    student = np.array([[0.0], [1.0], [3.0]], "float32")
    teacher = np.array([[0.0], [1.0], [2.0]], "float32")
    result = rkd(student, teacher, distance_weight=2.0, angle_weight=3.0)
    np.testing.assert_allclose(result["loss_distance"], 1 / 72, rtol=1e-6)
    np.testing.assert_allclose(result["loss_angle"], 0, atol=1e-12)
    # Swapping the first two turns the cosine at both of them, two entries each, by 2: Huber 3/2.
    swapped = rkd(student[[1, 0, 2]], teacher, distance_weight=2.0, angle_weight=3.0)
    np.testing.assert_allclose(swapped["loss_angle"], 4 * 1.5 / 27, rtol=1e-6)
    expected = 2 * swapped["loss_distance"] + 3 * swapped["loss_angle"]
    np.testing.assert_allclose(swapped["loss"], expected, rtol=1e-6)


def test_compares_squared_distances_where_asked():
    student = np.array([[0.0], [1.0], [3.0]], "float32")
    # Squares 1, 4, 9 with mean 14/3 against 1, 1, 4 with mean 2.
    result = rkd(student, student[[0, 1, 1]] + [[0.0], [0.0], [1.0]], squared=True)["loss_distance"]
    offs = np.array([3 / 14 - 1 / 2, 12 / 14 - 1 / 2, 27 / 14 - 2])
    np.testing.assert_allclose(result, 2 * np.sum(0.5 * offs**2) / 9, rtol=1e-6)


def test_is_zero_at_equality_and_under_rotation_and_scale():
    features = np.random.default_rng(0).normal(size=(5, 2, 2, 3)).astype("float32")
    result = rkd(features, 3 - 4 * features[:, ::-1])
    np.testing.assert_allclose(result["loss"], 0, atol=1e-9)


@pytest.mark.parametrize("batch_size", [2, 4])
def test_teaches_in_float16_past_equal_examples(batch_size, teaches):
    method = methods.get("rkd", tap="a")
    method.build_for({"a": (None, 6)}, {"a": (None, 3)})
    rng = np.random.default_rng(0)
    student, teacher = (50 * rng.normal(size=(batch_size, d)).astype("float16") for d in (6, 3))
    if batch_size == 2:  # two examples have one distance, always the mean: nothing to learn
        np.testing.assert_allclose(rkd(student, teacher)["loss"], 0, atol=1e-6)
        return
    student[1] = student[0]
    loss = teaches(
        method, {"a": student}, {"a": teacher}, Batch(labels=np.zeros(batch_size, "int32"))
    )
    np.testing.assert_allclose(loss, [loss[0]] * batch_size)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_equal_examples_alone_have_finite_gradients(batch_size, loss_and_gradients):
    method = methods.get("rkd", tap="a")
    method.build_for({"a": (None, 2)}, {"a": (None, 2)})
    features = np.ones((batch_size, 2), "float32")
    loss, gradients = loss_and_gradients(
        method, {"a": features}, {"a": features}, Batch(labels=np.zeros(batch_size, "int32"))
    )
    np.testing.assert_allclose(loss, 0, atol=1e-6)
    np.testing.assert_allclose(gradients["student", "a"], 0, atol=1e-6)


def test_refuses_a_negative_weight():
    with pytest.raises(ValueError, match="angle_weight is -1; expected a finite number >= 0"):
        methods.get("rkd", angle_weight=-1)
