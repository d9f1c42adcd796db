import numpy as np
import pytest
from keras import ops

from kd_keras import methods
from kd_keras.methods.at import at
from kd_keras.methods.base import Batch


def golden(arrays, config):
    student, teacher = (
        [arrays[f"{who}_feature_{i}"] for i in range(config["num_layers"])]
        for who in ("student", "teacher")
    )
    parts = at(student, teacher, exponent=config["p"])
    return {**parts, "out_loss_per_layer": ops.mean(parts["per_tap"], axis=1)}


GOLDENS = {"at": golden}


def maps(*rows):
    """One example a row, each a map (1, places, 1)."""
    return np.array(rows, "float32")[:, None, :, None]


def test_equals_the_mean_by_hand():
    # Power 1: unit vectors (3/5, 4/5) and (1, 0); ((2/5)^2 + (4/5)^2) / 2 = 0.4.
    result = at([maps([3.0, 4.0])], [maps([2.0, 0.0])], exponent=1)
    np.testing.assert_allclose(result["loss"], [0.4], rtol=1e-6)
    # Power 2 squares before the unit length: (9, 16) / sqrt(337) against (1, 0).
    result = at([maps([3.0, 4.0])], [maps([2.0, 0.0])], exponent=2)["loss"]
    np.testing.assert_allclose(result, [(337 + 337 - 2 * 9 * 337**0.5) / 337 / 2], rtol=1e-6)


def test_odd_powers_keep_signs():
    np.testing.assert_allclose(at([maps([-1.0])], [maps([1.0])], exponent=3)["loss"], [4.0])
    np.testing.assert_allclose(at([maps([-1.0])], [maps([1.0])], exponent=2)["loss"], [0.0])


def test_sums_over_taps_and_is_zero_where_maps_are_proportional():
    one, other = maps([1.0, 2.0], [0.0, 1.0]), maps([2.0, 1.0], [0.0, 3.0])
    result = at([one, one], [5 * one, other])
    np.testing.assert_allclose(result["per_tap"][0], [0, 0], atol=1e-6)
    np.testing.assert_allclose(result["loss"], result["per_tap"][1], atol=1e-6)
    assert result["loss"][0] > 0.1
    assert result["loss"][1] < 1e-6


@pytest.mark.parametrize("batch_size", [1, 3])
def test_teaches_in_float16_past_a_dead_example(batch_size, teaches):
    method = methods.get("at", taps="a+b")
    student, teacher = {"a": (6, 5, 4), "b": (2, 2, 3)}, {"a": (4, 5, 2), "b": (4, 4, 3)}
    method.build_for(*({t: (None, *s) for t, s in m.items()} for m in (student, teacher)))
    rng = np.random.default_rng(0)
    student, teacher = (
        {t: 50 * rng.normal(size=(batch_size, *s)).astype("float16") for t, s in m.items()}
        for m in (student, teacher)
    )
    if batch_size > 1:
        student["b"][0] = 0
    teaches(method, student, teacher, Batch(labels=np.zeros(batch_size, "int32")))


def test_refuses_vectors_and_a_power_of_zero():
    with pytest.raises(ValueError, match=r"'pooled' has shape \(None, 8\); expected a feature map"):
        methods.get("at", taps="pooled").build_for({"pooled": (None, 8)}, {"pooled": (None, 8)})
    with pytest.raises(ValueError, match="exponent is 0; expected a whole number >= 1"):
        methods.get("at", exponent=0)
