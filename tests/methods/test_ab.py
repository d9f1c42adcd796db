import keras
import numpy as np
import pytest
from keras import ops

from kd_keras import methods
from kd_keras.methods.ab import ab, connector
from kd_keras.methods.base import Batch


def golden(arrays, config):
    student, teacher = (
        [arrays[f"{who}_feature_{i}"] for i in range(config["num_layers"])]
        for who in ("student", "teacher")
    )
    for i in config["connectors"]:
        layer = connector(tuple(student[i].shape), tuple(teacher[i].shape))
        variables = [
            (layer.convolution.kernel, arrays[f"connector_{i}_conv_kernel"]),
            (layer.convolution.bias, arrays[f"connector_{i}_conv_bias"]),
            (layer.norm.gamma, arrays[f"connector_{i}_bn_gamma"]),
            (layer.norm.beta, arrays[f"connector_{i}_bn_beta"]),
        ]
        with keras.StatelessScope(state_mapping=variables):
            student[i] = layer(student[i], training=True)
    parts = ab(student, teacher, margin=config["margin"])
    return {**parts, "out_loss_per_layer": ops.mean(parts["per_tap"], axis=1)}


GOLDENS = {"ab": golden}


def maps(*values):
    return np.array(values, "float32").reshape(1, 1, 1, -1)


def test_equals_the_sum_by_hand():
    # Margin 1. Teacher off: -1 is far enough, 0 costs 1, 2 costs 9. On: 1 costs 0, -1 costs 4.
    # On: 1.5 is far enough. Off at t = 0: 0.5 costs 2.25. Sum 16.25, times 3/1000.
    student = maps(-1.0, 0.0, 2.0, 1.0, -1.0, 1.5, 0.5)
    teacher = maps(-1.0, -2.0, -3.0, 1.0, 2.0, 3.0, 0.0)
    np.testing.assert_allclose(ab([student], [teacher])["loss"], [16.25 * 3 / 1000], rtol=1e-6)


def test_a_deeper_tap_weighs_twice_as_much():
    one = maps(1.0, 2.0)
    result = ab([one, one, one], [-one, -one, -one])
    np.testing.assert_allclose(result["per_tap"], np.outer([0.25, 0.5, 1.0], result["per_tap"][2]))
    np.testing.assert_allclose(result["loss"], 1.75 * result["per_tap"][2])


@pytest.mark.parametrize("batch_size", [1, 3])
def test_teaches_in_float16_through_connectors(batch_size, teaches):
    method = methods.get("ab", taps="a+b+c+d", main_stage_weight=1.0)
    student = {"a": (6, 6, 4), "b": (2, 2, 3), "c": (3, 3, 2), "d": (4, 4, 3)}
    teacher = {"a": (3, 3, 2), "b": (4, 4, 3), "c": (3, 3, 2), "d": (9, 9, 5)}
    method.build_for(*({t: (None, *s) for t, s in m.items()} for m in (student, teacher)))
    assert [layer is None for layer in method.connectors] == [False, False, True, False]
    rng = np.random.default_rng(0)
    student, teacher = (
        {t: rng.normal(size=(batch_size, *s)).astype("float16") for t, s in m.items()}
        for m in (student, teacher)
    )
    loss = teaches(method, student, teacher, Batch(labels=np.zeros(batch_size, "int32")))
    first = method.first_stage_call(student, teacher, Batch(labels=np.zeros(batch_size, "int32")))
    np.testing.assert_allclose(first, loss, rtol=1e-5)


def test_costs_nothing_after_the_first_stage_by_default():
    method = methods.get("ab", taps="a")
    method.build_for({"a": (None, 1, 1, 2)}, {"a": (None, 1, 1, 2)})
    student, teacher = {"a": maps(1.0, 2.0)}, {"a": maps(-1.0, 2.0)}
    batch = Batch(labels=np.zeros(1, "int32"))
    assert method.first_stage == pytest.approx(1 / 9)
    assert method.first_stage_call(student, teacher, batch)[0] > 0
    np.testing.assert_array_equal(method(student, teacher, batch=batch), [0.0])


def test_refuses_a_margin_of_zero_and_a_stage_beyond_the_run():
    with pytest.raises(ValueError, match="margin is 0; expected a finite number > 0"):
        methods.get("ab", margin=0)
    with pytest.raises(ValueError, match="first_stage is 2; expected a finite number >= 0 and <="):
        methods.get("ab", first_stage=2)
