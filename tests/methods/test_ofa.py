import keras
import numpy as np
import pytest
from keras import layers

from kd_keras import losses, methods
from kd_keras.methods.base import Batch
from kd_keras.methods.ofa import make_exit, ofa


def golden(arrays, config):
    count = config["num_exits"]
    if "stages" in config:
        exits = [exit_of_case(arrays, config, i) for i in range(count)]
    else:
        exits = [arrays[f"student_exit_logits_{i}"] for i in range(count)]
    parts = ofa(
        arrays["student_logits"],
        exits,
        arrays["teacher_logits"],
        arrays["labels"],
        temperature=config["temperature"],
        exponents=config["eps"],
    )
    final, of_exits = parts["loss_final"], parts["loss_exits"]
    loss = config["kd_loss_weight"] * final + config["ofa_loss_weight"] * of_exits
    return {**parts, "loss": loss, **{f"out_exit_logits_{i}": z for i, z in enumerate(exits)}}


def exit_of_case(arrays, config, number):
    features = arrays[f"student_feature_{number}"]
    width = max(config["student_dim"], config["teacher_dim"])
    blocks = 4 - config["stages"][number]
    classes = arrays["student_logits"].shape[-1]
    part = make_exit(tuple(features.shape), blocks, width, classes, name="branch")
    names = [f"sep_{b}_{what}" for b in range(blocks) for what in weights_of_block()]
    names = names or ["conv_kernel", "conv_bias"]
    values = [arrays[f"exit_{number}_{name}"] for name in (*names, "fc_kernel", "fc_bias")]
    weights = list(zip(part.trainable_variables, values, strict=True))
    with keras.StatelessScope(state_mapping=weights):
        return part(features, training=True)


def weights_of_block():
    kinds = ("depthwise_kernel", "pointwise_kernel", "bn_gamma", "bn_beta")
    return [f"{kind}_{half}" for half in (0, 1) for kind in kinds]


GOLDENS = {"ofa": golden}
STUDENT = np.array([[0.0, 0.0], [3.0, 1.0]], "float32")
TEACHER = np.log(np.array([[3.0, 1.0], [3.0, 1.0]], "float32"))
LABELS = np.array([0, 1])


def test_equals_the_sum_by_hand():
    # Exponent 2, student uniform. Label 0: (1.75^2 - 1 + 0.0625) ln 2; the exit is the same.
    arguments = STUDENT[:1], [STUDENT[:1]], TEACHER[:1], LABELS[:1]
    result = ofa(*arguments, temperature=1.0, exponents=[1.0, 2.0])
    np.testing.assert_allclose(result["loss_final"], [2.125 * np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(result["loss_exits"], [np.log(2)], rtol=1e-6)


def test_exponent_one_is_the_cross_entropy_with_the_teacher():
    result = ofa(STUDENT, [], TEACHER, LABELS, temperature=1.0, exponents=[1.0])["loss_final"]
    expected = losses.cross_entropy(np.array([[0.75, 0.25]] * 2, "float32"), STUDENT)
    np.testing.assert_allclose(result, expected, rtol=1e-6)


def built(**knobs):
    method = methods.get("ofa", student_taps="stage1+stage2", **knobs)
    shapes = {"stage1": (None, 8, 8, 4), "stage2": (None, 3, 3, 6), "logits": (None, 2)}
    method.build_for(shapes, {"logits": (None, 2)})
    return method


def test_exits_halve_the_map_once_for_each_stage_before_the_deepest():
    first, last = built(exit_width=7).exits
    depthwise = [layer for layer in first.layers if isinstance(layer, layers.DepthwiseConv2D)]
    assert [layer.strides for layer in depthwise] == [(2, 2), (1, 1)]
    assert [part.layers[-1].kernel.shape for part in (first, last)] == [(7, 2), (7, 2)]
    assert built().exits[0].layers[-1].kernel.shape == (6, 2)


def test_exits_learn_with_their_weight_and_read_no_feature_of_the_teacher():
    outputs = {
        "logits": STUDENT,
        "stage1": np.ones((2, 8, 8, 4), "float32"),
        "stage2": np.ones((2, 3, 3, 6), "float32"),
    }

    def loss(method):
        batch = Batch(LABELS)
        return np.asarray(method(student=outputs, teacher={"logits": TEACHER}, batch=batch))

    alone = ofa(STUDENT, [], TEACHER, LABELS, temperature=1.0, exponents=[1.0])["loss_final"]
    np.testing.assert_allclose(loss(built(exit_weight=0)), alone, rtol=1e-6)
    assert np.all(loss(built()) > np.asarray(alone))
    assert built().teacher_taps == ()


@pytest.mark.parametrize(
    ("knob", "message"),
    [
        ({"student_taps": ()}, r"student_taps is \(\); expected one feature map or more"),
        ({"student_taps": "stage1++stage2"}, "one of student_taps is ''; expected a name"),
        ({"exponent": 0.5}, "exponent is 0.5; expected a finite number >= 1"),
        ({"exit_width": 0}, "exit_width is 0; expected a whole number >= 1"),
    ],
    ids=str,
)
def test_refuses_bad_knobs(knob, message):
    with pytest.raises(ValueError, match=message):
        methods.get("ofa", **knob)
