import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from kd_keras.distill.step.teacher import Teacher


def test_gives_what_the_model_gives_in_inference_mode(net, images):
    model = net("teacher", dropout=0.5)
    outputs = Teacher(model, ["stage1"])(images)
    np.testing.assert_allclose(outputs["logits"], model(images, training=False), atol=1e-5)
    assert outputs["stage1"].shape == (40, 8, 8, 4)


def test_is_outside_every_gradient(teacher, images):
    frozen = Teacher(teacher)
    x = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(frozen(x)["logits"])
    assert all(g is None for g in tape.gradient(total, [x, *teacher.trainable_variables]))


def test_of_a_softmax_head_gives_the_log_probabilities(net, images):
    plain, softmax = net("teacher"), net("teacher", activation="softmax")  # of the same weights
    result = Teacher(softmax)(images)["logits"]
    expected = keras.ops.log_softmax(plain(images))
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_a_saved_model_teaches(teacher, images, tmp_path, monkeypatch):
    teacher.export(tmp_path / "saved", verbose=False)
    layer = layers.TFSMLayer(str(tmp_path / "saved"), call_endpoint="serving_default")
    monkeypatch.setattr(layers.TFSMLayer, "from_config", pytest.fail)  # Keras may forbid it
    inputs = keras.Input((8, 8, 3))
    outputs = layer(inputs)["output_0"]
    headed = keras.Model(inputs, layers.Dense(5)(outputs))
    for model in (keras.Model(inputs, outputs), headed):
        for precision in ("float32", "mixed_bfloat16"):
            result = Teacher(model, precision=precision)(images)["logits"]
            np.testing.assert_allclose(result, model(images), atol=1e-5)
    np.testing.assert_allclose(headed(images), headed.layers[-1](teacher(images)), atol=1e-5)


def test_unknown_taps_are_answered_with_near_ones(teacher):
    with pytest.raises(ValueError, match=r"'teacher' has no tap 'stage3'.*stage2 \(None, 3, 3, 12"):
        Teacher(teacher, ["stage3"])
