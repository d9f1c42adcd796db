"""A student that ends in a softmax is trained on the sums before it, and keeps its softmax."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kd_keras import Distiller, methods
from kd_keras.data.stores.store import Split
from kd_keras.exports import classifier_graph, signatures
from kd_keras.graph import heads, twins
from kd_keras.results.evaluation import measure_model


def by_activation(net):
    return net("student", dropout=0.3, activation="softmax")


def by_layer(net):
    model = net("student", dropout=0.3)
    return keras.Model(model.input, layers.Softmax()(model.output), name="student")


def by_activation_layer(net):
    model = net("student", dropout=0.3)
    outputs = layers.Activation("softmax", dtype="float32")(model.output)
    return keras.Model(model.input, outputs, name="student")


def by_operation(net):
    model = net("student", dropout=0.3)
    return keras.Model(model.input, ops.softmax(model.output), name="student")


def in_a_nested_model(net):
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, by_activation(net)(inputs), name="student")


KINDS = [by_activation, by_layer, by_activation_layer, by_operation, in_a_nested_model]


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_it_is_trained_as_the_same_student_without_the_softmax(
    make, precision, net, teacher, images, labels, one_step
):
    ends, logs = [], []
    for student in (make(net), net("student", dropout=0.3)):
        distiller = Distiller(
            student, teacher=teacher, methods=methods.get("kd"), precision=precision
        )
        logs.append(one_step(distiller, images, labels))
        ends.append(student)
    with_softmax, without = ends
    assert logs[0] == logs[1]
    for a, b in zip(with_softmax.get_weights(), without.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    expected = ops.softmax(without(images))
    np.testing.assert_allclose(with_softmax(images), expected, rtol=1e-5, atol=1e-6)


def test_validation_is_of_logits_and_predictions_are_probabilities(
    net, teacher, images, labels, by_hand
):
    student = by_activation(net)
    distiller = Distiller(student, teacher=teacher, methods=methods.get("kd"))
    distiller.compile(metrics=["accuracy"], run_eagerly=True)
    scores = distiller.evaluate(images, labels, verbose=0, return_dict=True)
    logits = np.asarray(net("student", dropout=0.3)(images))
    assert scores["loss"] == pytest.approx(by_hand.cross_entropy(labels, logits).mean(), rel=1e-5)
    assert scores["accuracy"] == pytest.approx((logits.argmax(1) == labels).mean())
    predicted = distiller.predict(images, verbose=0)
    np.testing.assert_allclose(predicted.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(predicted, student(images), rtol=1e-5)


def test_its_file_and_its_exports_give_probabilities_once(net, tmp_path):
    student = by_activation(net)
    student.layers[-1].kernel.assign(9 * student.layers[-1].kernel)
    Distiller(student)
    student.save(tmp_path / "student.keras")
    loaded = keras.models.load_model(tmp_path / "student.keras")
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    expected = np.asarray(student(pixels.astype("float32")))
    np.testing.assert_array_equal(loaded(pixels.astype("float32")), expected)
    assert heads.output_type(loaded) == "probabilities"
    graph = classifier_graph.from_model(loaded, (8, 8, 3))
    of_probabilities = signatures.answer(loaded, head="probabilities")
    for answer in (graph.function()(pixels), of_probabilities(pixels)):
        np.testing.assert_allclose(answer["probabilities"], expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(ops.softmax(answer["logits"]), expected, rtol=1e-4, atol=1e-6)


def test_scores_of_a_run_are_the_sums(net):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    split = Split(pixels, np.zeros(6, np.int32), np.arange(6))
    result = measure_model.scores(by_activation(net), split)
    expected = net("student", dropout=0.3)(pixels.astype("float32"))
    np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-3)


def test_frozen_last_layers_stay_frozen(net, images, labels, one_step):
    student = by_activation(net)
    student.get_layer("logits").trainable = False
    before = student.get_layer("logits").get_weights()
    one_step(Distiller(student), images, labels)
    for a, b in zip(before, student.get_layer("logits").get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


class OwnCall(keras.Model):
    def __init__(self):
        super().__init__(name="own")
        self.dense = layers.Dense(5, activation="softmax")

    def call(self, x):
        return self.dense(layers.Flatten()(x))


class OwnSoftmax(layers.Dense):
    """A layer that may do anything with its activation."""


def own_call(net):
    model = OwnCall()
    model(np.zeros((1, 8, 8, 3)))
    return model


def own_layer(net):
    model = net("inner")
    outputs = OwnSoftmax(5, activation="softmax")(model.get_layer("pooled").output)
    return keras.Model(model.input, outputs)


def more_behind(net):
    model = by_operation(net)
    return keras.Model(model.input, model.output * 1.0)


def with_a_penalty(net):
    model = net("inner")
    last = layers.Dense(5, activation="softmax", activity_regularizer="l2")
    return keras.Model(model.input, last(model.get_layer("pooled").output))


def twice(net):
    last = layers.Dense(5, activation="softmax")
    inputs = keras.Input((5,))
    return keras.Model(inputs, last(last(inputs)))


@pytest.mark.parametrize("make", [own_call, own_layer, more_behind, with_a_penalty, twice])
def test_sums_that_cannot_be_reached_are_refused(make, net):
    with pytest.raises(ValueError, match=r"ends in a softmax; expected logits.*Remove the last"):
        Distiller(make(net))


def test_a_twin_of_a_teacher_keeps_its_softmax(net, images):
    model = by_activation(net)
    outputs, _ = twins.Twin(model)(images, training=False)
    np.testing.assert_allclose(outputs["logits"], model(images), rtol=1e-5, atol=1e-6)
