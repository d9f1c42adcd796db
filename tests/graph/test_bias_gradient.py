"""Gradients of every kind of layer with a bias or a shift, in bfloat16 against float32."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from kd_keras.graph.twins import Twin

MAP, ROWS = (64, 64, 4), (4096, 4)  # 4,096 places, 16 examples: 65,536 summands


class ByAddition(layers.Layer):
    """A layer of a user's own that adds its bias as Keras's layers do."""

    def build(self, shape):
        self.bias = self.add_weight(shape=shape[-1:], name="bias")

    def call(self, inputs):
        return ops.add(inputs, self.bias)


class Positions(ByAddition):
    def call(self, inputs):
        return inputs + ops.reshape(self.bias, (1, 1, 1, -1))


KINDS = {
    "Dense": (lambda: layers.Dense(3), MAP),
    "Dense, large batch": (lambda: layers.Dense(3), (4,)),
    "EinsumDense": (lambda: layers.EinsumDense("bhwc,cd->bhwd", (64, 64, 3), bias_axes="d"), MAP),
    "Conv1D": (lambda: layers.Conv1D(3, 3), ROWS),
    "Conv1D dilated": (lambda: layers.Conv1D(3, 3, dilation_rate=2), ROWS),
    "Conv1D causal": (lambda: layers.Conv1D(3, 3, padding="causal"), ROWS),
    "Conv2D": (lambda: layers.Conv2D(3, 3, activation="relu"), MAP),
    "Conv2D dilated": (lambda: layers.Conv2D(3, 3, dilation_rate=2), MAP),
    "Conv2D grouped": (lambda: layers.Conv2D(4, 1, groups=2), MAP),
    "Conv3D": (lambda: layers.Conv3D(3, 3), (16, 16, 16, 4)),
    "Conv1DTranspose": (lambda: layers.Conv1DTranspose(3, 3), ROWS),
    "Conv2DTranspose": (lambda: layers.Conv2DTranspose(3, 3, strides=2), (32, 32, 4)),
    "Conv3DTranspose": (lambda: layers.Conv3DTranspose(3, 2), (16, 16, 16, 4)),
    "DepthwiseConv1D": (lambda: layers.DepthwiseConv1D(3), ROWS),
    "DepthwiseConv2D": (lambda: layers.DepthwiseConv2D(3), MAP),
    "SeparableConv1D": (lambda: layers.SeparableConv1D(3, 3), ROWS),
    "SeparableConv2D": (lambda: layers.SeparableConv2D(3, 3), MAP),
    "MultiHeadAttention": (lambda: layers.MultiHeadAttention(2, 4), (32, 8)),
    "GroupQueryAttention": (lambda: layers.GroupQueryAttention(4, 2, 1), (32, 8)),
    "SimpleRNN": (lambda: layers.SimpleRNN(3, return_sequences=True), (8, 4)),
    "LSTM": (lambda: layers.LSTM(3, return_sequences=True), (8, 4)),
    "GRU": (lambda: layers.GRU(3, return_sequences=True), (8, 4)),
    "ConvLSTM2D": (lambda: layers.ConvLSTM2D(2, 3, return_sequences=True), (2, 32, 32, 4)),
    "TimeDistributed": (lambda: layers.TimeDistributed(layers.Dense(3)), (64, 4)),
    "Bidirectional": (lambda: layers.Bidirectional(layers.SimpleRNN(3)), (4, 4)),
    "SpectralNormalization": (lambda: layers.SpectralNormalization(layers.Conv2D(3, 3)), MAP),
    "LayerNormalization": (layers.LayerNormalization, MAP),
    "GroupNormalization": (lambda: layers.GroupNormalization(2), MAP),
    "BatchNormalization": (layers.BatchNormalization, MAP),
    "BatchNormalization of rows": (layers.BatchNormalization, ROWS),
    "BatchNormalization of channels first": (
        lambda: layers.BatchNormalization(axis=1),
        (4, 64, 64),
    ),
    "PReLU": (lambda: layers.PReLU(shared_axes=[1, 2]), MAP),
    "a custom layer, keras.ops.add": (ByAddition, MAP),
    "a custom layer, +": (Positions, MAP),
}
SHIFTS = ("bias", "beta", "alpha")


def model_of(make, shape):
    keras.utils.set_random_seed(0)
    inputs, layer = keras.Input(shape), make()
    attends = isinstance(layer, layers.MultiHeadAttention | layers.GroupQueryAttention)
    outputs = layer(inputs, inputs) if attends else layer(inputs)
    # The last layer with weights stays in float32, hence one more.
    return keras.Model(inputs, layers.Dense(3, use_bias=False, name="last")(outputs))


def gradients_of(model, images, precision):
    twin = Twin(model, precision=precision)
    with tf.GradientTape() as tape:
        logits = twin(images, training=True)[0]["logits"]
        upstream = np.random.default_rng(1).normal(0.3, 1, logits.shape).astype("float32")
        cost = tf.reduce_mean(logits * upstream)
    gradients = tape.gradient(cost, model.trainable_variables)
    return {v.path: g.numpy() for v, g in zip(model.trainable_variables, gradients, strict=True)}


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_biases_in_bfloat16_are_those_of_float32(kind):
    make, shape = KINDS[kind]
    model = model_of(make, shape)
    examples = 16 if np.prod(shape) > 1024 else 1024
    images = np.random.default_rng(0).normal(0.2, 1, (examples, *shape)).astype("float32")
    start = model.get_weights()
    exact = gradients_of(model, images, "float32")
    model.set_weights(start)  # moving statistics too
    actual = gradients_of(model, images, "mixed_bfloat16")
    # Attention does not depend on the bias of its keys: that gradient is 0 but for rounding.
    paths = [p for p in exact if p.endswith(SHIFTS) and "/key/" not in p]
    assert paths
    for path in paths:
        size, exact_size = np.linalg.norm(actual[path]), np.linalg.norm(exact[path])
        assert size == pytest.approx(exact_size, rel=0.02), path
        assert np.sum(actual[path] * exact[path]) > 0.99 * size * exact_size, path


@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
@pytest.mark.parametrize("compiled", [False, True])
def test_65_536_ones_are_summed_to_65_536(data_format, compiled):
    Twin(model_of(*KINDS["Dense, large batch"]), precision="mixed_bfloat16")
    maps = tf.ones((16, 4, 64, 64) if data_format == "NCHW" else (16, 64, 64, 4), "bfloat16")

    def gradients():
        bias = tf.zeros(4, "bfloat16")
        with tf.GradientTape() as tape:
            tape.watch([maps, bias])
            outputs = tf.nn.bias_add(maps, bias, data_format=data_format)
        return tape.gradient(outputs, [maps, bias])

    of_maps, of_bias = (tf.function(gradients) if compiled else gradients)()
    np.testing.assert_array_equal(tf.cast(of_bias, "float32"), [65536.0] * 4)
    np.testing.assert_array_equal(tf.cast(of_maps, "float32"), tf.ones(maps.shape))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_other_precisions_keep_their_gradient(dtype):
    Twin(model_of(*KINDS["Dense, large batch"]), precision="mixed_bfloat16")
    maps, bias = tf.ones((16, 64, 64, 4), dtype), tf.zeros(4, dtype)
    with tf.GradientTape() as tape:
        tape.watch(bias)
        outputs = tf.nn.bias_add(maps, bias) / 256
    gradient = tape.gradient(outputs, bias)
    assert gradient.dtype == dtype
    np.testing.assert_array_equal(gradient, [256.0] * 4)


def test_a_subclassed_model_built_in_bfloat16_is_summed_right_too():
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__(dtype="mixed_bfloat16")
            self.conv = layers.Conv2D(4, 1, dtype="mixed_bfloat16")

        def call(self, inputs):
            return ops.sum(ops.cast(self.conv(inputs), "float32"), (1, 2))

    model = Subclassed()
    images = np.ones((16, 64, 64, 1), "float32")
    model(images)
    twin = Twin(model)
    with tf.GradientTape() as tape:
        cost = tf.reduce_sum(twin(images, training=True)[0]["logits"])
    np.testing.assert_array_equal(tape.gradient(cost, model.conv.bias), [65536.0] * 4)
