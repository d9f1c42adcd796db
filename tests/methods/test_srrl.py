import keras
import numpy as np
import pytest

from kd_keras import methods
from kd_keras.methods.base import Batch
from kd_keras.methods.parts import connectors, tap_pairs, teacher_classifier
from kd_keras.methods.parts.teacher_classifier import pooled
from kd_keras.methods.srrl import srrl


def golden(arrays, config):
    student = tap_pairs.as_map(arrays["student_feature"])
    kernel = arrays["connector_conv_kernel"]
    regressor = connectors.connector(
        tuple(student.shape), kernel.shape[-1], relu=True, name="regressor"
    )
    classifier = teacher_classifier.frozen_classifier(*arrays["teacher_fc_kernel"].shape)
    convolution, norm, _ = regressor.layers
    state = [
        (convolution.kernel, kernel),
        (norm.gamma, arrays["connector_bn_gamma"]),
        (norm.beta, arrays["connector_bn_beta"]),
        (classifier.kernel, arrays["teacher_fc_kernel"]),
        (classifier.bias, arrays["teacher_fc_bias"]),
    ]
    with keras.StatelessScope(state_mapping=state):
        projected = pooled(regressor(student, training=True))
        cross = classifier(projected)
    parts = srrl(
        projected,
        pooled(arrays["teacher_feature"]),
        cross,
        arrays["teacher_logits"],
        logit_weight=config.get("logit_weight", 1.0),
    )
    return {**parts, "out_cross_logits": cross}


GOLDENS = {"srrl": golden, "srrl_pooled": golden}


def model(head):
    inputs = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(5, 3, name="stage3")(inputs)
    x = keras.layers.GlobalAveragePooling2D(name="pooled")(x)
    for layer in head:
        x = layer(x)
    return keras.Model(inputs, x, name="net")


def built(**knobs):
    method = methods.get("srrl", **knobs)
    method.build_for(
        {"logits": (None, 7), "pooled": (None, 4), "stage3": (None, 2, 2, 4)},
        {"logits": (None, 7), "pooled": (None, 5), "stage3": (None, 3, 3, 5)},
    )
    return method


def test_equals_the_means_by_hand():
    one, zero = np.ones((2, 4), "float32"), np.zeros((2, 4), "float32")
    parts = srrl(one, zero, 3 * one, zero, logit_weight=0.5)
    np.testing.assert_allclose(parts["loss"], [1 + 0.5 * 9] * 2)
    np.testing.assert_allclose(parts["loss_logit"], [9.0] * 2)
    np.testing.assert_array_equal(srrl(one, one, zero, zero)["loss"], [0, 0])


@pytest.mark.parametrize("tap", ["pooled", "stage3"])
def test_teaches_student_and_regressor_in_float16(tap, teaches):
    method = built(tap=tap)
    rng = np.random.default_rng(0)
    shapes = {"pooled": [(4,), (5,)], "stage3": [(2, 2, 4), (3, 3, 5)]}[tap]
    student, teacher = ({tap: rng.normal(size=(3, *s)).astype("float16")} for s in shapes)
    method.attach(None, model([keras.layers.Dense(7)]))
    teaches(method, student, teacher, Batch(labels=np.zeros(3, "int32")))
    assert len(method.trainable_variables) == 3


def test_is_finite_for_one_example(loss_and_gradients):
    ones = np.ones((1, 5), "float32")
    batch = Batch(labels=np.zeros(1, "int32"))
    loss, gradients = loss_and_gradients(built(), {"pooled": ones[:, :4]}, {"pooled": ones}, batch)
    assert all(np.all(np.isfinite(g)) for g in (loss, *gradients.values()))


@pytest.mark.parametrize(
    "head",
    [
        [keras.layers.Dense(7)],
        [keras.layers.Dense(7, activation="softmax")],
        [keras.layers.Dense(7), keras.layers.Softmax()],
        [keras.Sequential([keras.Input((5,)), keras.layers.Dense(7, use_bias=False)])],
    ],
    ids=["dense", "softmax", "softmax layer", "nested, no bias"],
)
def test_keeps_the_weights_of_the_teachers_classifier(head):
    teacher = model(head)
    method = built()
    method.attach(None, teacher)
    np.testing.assert_array_equal(method.classifier.kernel, teacher.weights[2])
    assert not method.classifier.trainable_variables


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        (
            [keras.layers.Dense(7), keras.layers.LayerNormalization()],
            "ends in a LayerNormalization",
        ),
        ([keras.layers.Dense(6), keras.layers.Dense(7)], r"reads 6 features, its tap has 5"),
    ],
)
def test_refuses_a_teacher_without_a_fitting_classifier(teacher, message):
    with pytest.raises(ValueError, match=message):
        built().attach(None, model(teacher))
