import math

import numpy as np
import pytest

from kd_keras import methods
from kd_keras.methods.base import Batch
from kd_keras.methods.pkt import pkt


def golden(arrays, config):
    return pkt(arrays["student_feature"], arrays["teacher_feature"], epsilon=config["eps"])


GOLDENS = {"pkt": golden}


def test_equals_the_divergence_by_hand():
    # Right angles: shifted cosines (1, 1/2), rows (2/3, 1/3); a half turn: (1, 0), rows (1, 0).
    # Two rows of ln(1 / (2/3)), and 0 ln 0 = 0, over the 4 pairs.
    right, opposite = np.eye(2, dtype="float32"), np.array([[3.0], [-1.0]], "float32")
    result = pkt(right, opposite)["loss"]
    np.testing.assert_allclose(result, 2 * math.log(1.5) / 4, rtol=1e-5)


def test_is_zero_at_equality_and_under_rotation_and_scale():
    features = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    lengths = np.array([[1], [2], [3], [4], [5]], "float32")
    np.testing.assert_allclose(pkt(features, lengths * features[:, ::-1])["loss"], 0, atol=1e-9)


@pytest.mark.parametrize("batch_size", [2, 4])
def test_teaches_in_float16_past_a_dead_example(batch_size, teaches):
    method = methods.get("pkt", tap="a")
    method.build_for({"a": (None, 6)}, {"a": (None, 3)})
    rng = np.random.default_rng(0)
    student, teacher = (50 * rng.normal(size=(batch_size, d)).astype("float16") for d in (6, 3))
    if batch_size > 2:
        student[1] = 0
    loss = teaches(
        method, {"a": student}, {"a": teacher}, Batch(labels=np.zeros(batch_size, "int32"))
    )
    np.testing.assert_allclose(loss, [loss[0]] * batch_size)


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e4])
def test_is_finite_for_opposite_and_dead_examples_of_any_size(size, loss_and_gradients):
    method = methods.get("pkt", tap="a")
    method.build_for({"a": (None, 2)}, {"a": (None, 2)})
    student = size * np.array([[1, 0], [-1, 0], [0, 0]], "float32")
    teacher = size * np.array([[1, 0], [1, 0], [0, 1]], "float32")
    loss, gradients = loss_and_gradients(
        method, {"a": student}, {"a": teacher}, Batch(labels=np.zeros(3, "int32"))
    )
    assert np.all(np.isfinite(loss))
    assert np.all(np.isfinite(gradients["student", "a"]))
    np.testing.assert_allclose(gradients["student", "a"][2], 0)


def test_is_zero_for_a_batch_of_one():
    np.testing.assert_allclose(pkt(np.ones((1, 3)), -np.ones((1, 3)))["loss"], 0, atol=1e-9)


def test_refuses_a_weight_that_is_no_number():
    with pytest.raises(ValueError, match="weight is nan; expected a finite number >= 0"):
        methods.get("pkt", weight=math.nan)
