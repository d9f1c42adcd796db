import keras
import numpy as np
import pytest
from keras import layers, ops

from kd_keras.graph import last_activation


def with_layer(net):
    model = net("student")
    return keras.Model(model.input, layers.Softmax()(model.output))


def with_operation(net):
    model = net("student")
    return keras.Model(model.input, ops.softmax(model.output))


def nested(net):
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, net("inner", activation="softmax")(inputs))


@pytest.mark.parametrize(
    "make",
    [lambda net: net("student", activation="softmax"), with_layer, with_operation, nested],
)
def test_the_logits_before_a_softmax(make, net, images):
    model = make(net)
    logits = last_activation.remove(model)(images)
    np.testing.assert_allclose(logits, net("student")(images), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ops.softmax(logits), model(images), rtol=1e-5, atol=1e-6)


def test_a_sigmoid_becomes_two_logits(net, images):
    model = net("student", classes=1, activation="sigmoid")
    logits = last_activation.remove(model)(images)
    np.testing.assert_array_equal(logits[:, 0], np.zeros(len(images)))
    np.testing.assert_allclose(ops.sigmoid(logits[:, 1:]), model(images), rtol=1e-5, atol=1e-6)


def test_probabilities_computed_in_another_way_stay(net):
    model = net("student")
    scaled = keras.Model(model.input, ops.softmax(model.output) * 1.0)
    assert last_activation.remove(scaled) is None
