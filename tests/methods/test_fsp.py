import numpy as np
import pytest
from keras import ops

from kd_keras import methods
from kd_keras.methods.base import Batch
from kd_keras.methods.fsp import fsp


def golden(arrays, config):
    student, teacher = (
        [arrays[f"{who}_feature_{i}"] for i in range(config["num_layers"])]
        for who in ("student", "teacher")
    )
    parts = fsp(student, teacher)
    return {**parts, "out_loss_per_pair": ops.mean(parts["per_pair"], axis=1)}


GOLDENS = {"fsp": golden}
CONTRACT = {"project": True}


def test_equals_the_mean_by_hand():
    # One place, one channel, then two: G_s = 2 * (3, 4) = (6, 8), G_t = 1 * (5, 7).
    student = [np.full((1, 1, 1, 1), 2.0), np.array([3.0, 4.0]).reshape(1, 1, 1, 2)]
    teacher = [np.full((1, 1, 1, 1), 1.0), np.array([5.0, 7.0]).reshape(1, 1, 1, 2)]
    np.testing.assert_allclose(fsp(student, teacher)["loss"], [(1 + 1) / 2])


def test_is_zero_at_equality_and_sums_over_neighbours():
    rng = np.random.default_rng(0)
    one, two, three = (rng.normal(size=(3, 4, 4, c)).astype("float32") for c in (2, 3, 4))
    np.testing.assert_allclose(fsp([one, two, three], [one, two, three])["loss"], np.zeros(3))
    result = fsp([one, two, three], [one, two, -three])
    np.testing.assert_allclose(result["per_pair"][0], np.zeros(3))
    np.testing.assert_allclose(result["loss"], result["per_pair"][1])


@pytest.mark.parametrize("batch_size", [1, 3])
def test_teaches_in_float16_through_a_projection(batch_size, teaches):
    method = methods.get("fsp", taps="a+b", main_stage_weight=1.0, project=True)
    student, teacher = {"a": (6, 6, 4), "b": (4, 4, 2)}, {"a": (3, 3, 4), "b": (4, 4, 5)}
    method.build_for(*({t: (None, *s) for t, s in m.items()} for m in (student, teacher)))
    assert [tuple(v.shape) for v in method.trainable_variables] == [(1, 1, 2, 5)]
    rng = np.random.default_rng(0)
    student, teacher = (
        {t: 9 * rng.normal(size=(batch_size, *s)).astype("float16") for t, s in m.items()}
        for m in (student, teacher)
    )
    batch = Batch(labels=np.zeros(batch_size, "int32"))
    loss = teaches(method, student, teacher, batch)
    np.testing.assert_allclose(method.first_stage_call(student, teacher, batch), loss, rtol=1e-5)


def test_costs_nothing_after_the_first_stage_by_default():
    method = methods.get("fsp", taps="a+b")
    assert method.first_stage == pytest.approx(1 / 9)
    assert method.main_stage_weight == 0


def test_refuses_one_tap_and_unequal_channels():
    with pytest.raises(ValueError, match=r"taps are \('a',\); expected at least two"):
        methods.get("fsp", taps="a")
    shapes = (
        {"a": (None, 4, 4, 3), "b": (None, 4, 4, 3)},
        {"a": (None, 4, 4, 3), "b": (None, 2, 2, 5)},
    )
    with pytest.raises(
        ValueError, match=r"tap 'b' the student has 3 channels, the teacher 5.*project=True"
    ):
        methods.get("fsp", taps="a+b").build_for(*shapes)
