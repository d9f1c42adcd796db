import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from kd_keras.exports import classifier_graph


def test_it_gives_both_outputs_for_pixels_of_either_type(net, graph_of, noise):
    student = net("student")
    for floats in (False, True):
        answers = graph_of(student).function(floats=floats)(
            noise.astype("float32") if floats else noise
        )
        np.testing.assert_allclose(answers["logits"], student(noise.astype("float32")), atol=1e-5)
        np.testing.assert_allclose(
            answers["probabilities"], tf.nn.softmax(answers["logits"]), atol=1e-6
        )


@pytest.mark.parametrize(("classes", "activation"), [(5, "softmax"), (1, "sigmoid")])
def test_logits_are_the_numbers_before_the_last_activation(
    net, graph_of, noise, classes, activation
):
    model = net("student", classes=classes, activation=activation)
    graph = graph_of(model)
    answers = graph.function()(noise)
    assert answers["logits"].shape == (100, max(classes, 2))
    expected = np.asarray(model(noise.astype("float32")))
    np.testing.assert_allclose(answers["probabilities"][:, -1:], expected[:, -1:], atol=1e-6)
    # Logarithms of probabilities would give 0.
    assert np.abs(special.logsumexp(answers["logits"], axis=-1)).max() > 1
    assert graph.for_few_bits() is graph


def test_in_few_bits_there_are_no_logits_of_a_softmax_inside(net, graph_of, noise):
    model = net("student")
    hidden = keras.Model(model.input, keras.ops.softmax(model.output) * 1.0)
    graph = graph_of(hidden)
    assert graph.outputs == ("logits", "probabilities")
    np.testing.assert_allclose(
        special.logsumexp(graph.function()(noise)["logits"], -1), 0, atol=1e-5
    )
    assert graph.for_few_bits().outputs == ("probabilities",)


def test_a_student_of_low_precision_computes_in_float32(net, noise):
    plain = net("student")
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        low = net("student")
    finally:
        keras.config.set_dtype_policy("float32")
    graph = classifier_graph.from_model(low, (8, 8, 3))
    np.testing.assert_allclose(
        graph.function()(noise)["logits"], plain(noise.astype("float32")), rtol=1e-4, atol=1e-5
    )
