import numpy as np
import pytest
from keras import ops

from kd_keras import methods
from kd_keras.methods.base import Batch
from kd_keras.methods.nst import nst


def golden(arrays, config):
    student, teacher = (
        [arrays[f"{who}_feature_{i}"] for i in range(config["num_layers"])]
        for who in ("student", "teacher")
    )
    parts = nst(student, teacher)
    return {**parts, "out_loss_per_layer": ops.mean(parts["per_tap"], axis=1)}


GOLDENS = {"nst": golden}


def test_equals_the_kernels_by_hand():
    # One place pattern a channel. Student: (1, 0); teacher: (1, 0) and (0, 1).
    # k(t,t) = (1 + 1 + 0 + 0)/4, k(s,s) = 1, k(s,t) = (1 + 0)/2: 0.5 + 1 - 1 = 0.5.
    student = np.array([[7.0], [0.0]], "float32").reshape(1, 2, 1, 1)
    teacher = 3 * np.eye(2, dtype="float32").reshape(1, 2, 1, 2)
    np.testing.assert_allclose(nst([student], [teacher])["loss"], [0.5], rtol=1e-6)


def test_is_zero_where_channels_are_the_same_in_another_order_and_scale():
    features = np.random.default_rng(0).normal(size=(3, 2, 2, 4)).astype("float32")
    other = features[..., ::-1] * np.array([1, 2, 3, 4], "float32")
    result = nst([features, features], [other, features])
    np.testing.assert_allclose(result["loss"], np.zeros(3), atol=1e-6)
    assert result["per_tap"].shape == (2, 3)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_teaches_in_float16_past_a_dead_channel(batch_size, teaches):
    method = methods.get("nst", taps="a+b")
    student, teacher = {"a": (6, 5, 4), "b": (2, 2, 3)}, {"a": (4, 5, 2), "b": (4, 4, 3)}
    method.build_for(*({t: (None, *s) for t, s in m.items()} for m in (student, teacher)))
    rng = np.random.default_rng(0)
    student, teacher = (
        {t: 50 * rng.normal(size=(batch_size, *s)).astype("float16") for t, s in m.items()}
        for m in (student, teacher)
    )
    student["b"][..., 0] = 0
    teaches(method, student, teacher, Batch(labels=np.zeros(batch_size, "int32")))


def test_refuses_vectors():
    with pytest.raises(ValueError, match=r"'pooled' has shape \(None, 8\); expected a feature map"):
        methods.get("nst", taps="pooled").build_for({"pooled": (None, 8)}, {"pooled": (None, 8)})
