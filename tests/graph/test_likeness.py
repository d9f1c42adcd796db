"""Layers whose configuration leaves an argument out run as they are, not as another function."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from kd_keras.graph import likeness
from kd_keras.graph.twins import Twin

register = keras.saving.register_keras_serializable(package="test_likeness")


@register
class Forgets(layers.Layer):
    """x * factor, at most `bound`; noise in training. Its configuration has `tells` alone."""

    def __init__(self, factor=1.0, bound=None, noise=0.0, penalty=0.0, tells=(), **kwargs):
        super().__init__(**kwargs)
        self.factor, self.bound, self.noise, self.penalty = factor, bound, noise, penalty
        self.tells = tuple(tells)
        self.seeds = keras.random.SeedGenerator(0)

    def call(self, inputs, training=False):
        self.add_loss(self.penalty * ops.mean(ops.abs(inputs)))
        if training:
            inputs = inputs + self.noise * keras.random.normal(ops.shape(inputs), seed=self.seeds)
        outputs = inputs * self.factor
        return outputs if self.bound is None else ops.minimum(outputs, self.bound)

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        config = {name: getattr(self, name) for name in self.tells}
        return {**super().get_config(), **config, "tells": self.tells}


@register
class Adds(layers.Layer):
    """Several inputs, of integers too; a part of another class inside."""

    def __init__(self, size=3, **kwargs):
        super().__init__(**kwargs)
        self.size = size
        self.table = layers.Embedding(4, size)

    def call(self, images, codes, *, factor=1.0):
        return images * factor + self.table(codes)[:, None, None, :]

    def get_config(self):
        return {**super().get_config(), "size": self.size}


@register
def halved(inputs):
    return inputs / 2


def built_layer(layer, shape=(8, 8, 3)):
    layer(keras.Input(shape))
    return layer


SETTINGS = {"factor": 2.0, "bound": 6.0, "noise": 0.5, "penalty": 0.1}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_configuration_that_forgets_an_argument_is_noticed(name):
    assert not likeness.is_defined_by_configuration(built_layer(Forgets(**{name: SETTINGS[name]})))
    model = Forgets(**{name: SETTINGS[name]}, tells=[name])
    assert likeness.is_defined_by_configuration(built_layer(model))


@pytest.mark.parametrize("shape", [(None, None, 3), (3,), (), (5, 3)])
def test_open_and_unusual_shapes_are_compared(shape):
    assert not likeness.is_defined_by_configuration(built_layer(Forgets(2.0), shape))
    assert likeness.is_defined_by_configuration(built_layer(Forgets(2.0, tells=["factor"]), shape))


def test_several_inputs_of_numbers_and_of_integers_are_compared():
    layer = Adds()
    layer(keras.Input((8, 8, 3)), codes=keras.Input((), dtype="int32"), factor=2.0)
    assert likeness.is_defined_by_configuration(layer)


def test_what_raises_when_made_or_run_is_not_reported():
    class NeedsArgument(layers.Layer):
        def __init__(self, needed, **kwargs):
            super().__init__(**kwargs)

        def get_config(self):
            return {}

        def call(self, inputs):
            return inputs

    class RunsOnce(layers.Layer):
        def call(self, inputs):
            if tf.executing_eagerly():
                raise RuntimeError
            return inputs

    assert not likeness.is_defined_by_configuration(built_layer(NeedsArgument(1)))
    assert not likeness.is_defined_by_configuration(built_layer(RunsOnce()))


def test_comparing_changes_neither_state_nor_seeds():
    layer = built_layer(Forgets(noise=0.5, tells=["noise"]))
    norm = layers.TimeDistributed(layers.Activation(halved))
    before = [v.numpy() for v in layer.variables]
    assert likeness.is_defined_by_configuration(layer)
    assert likeness.is_defined_by_configuration(built_layer(norm, (4, 3)))
    for variable, value in zip(layer.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_keras_s_own_layers_are_not_run(monkeypatch):
    norm = built_layer(layers.BatchNormalization())
    monkeypatch.setattr(layers.BatchNormalization, "call", None)
    assert likeness.is_defined_by_configuration(norm)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_twin_computes_what_the_model_computes(images, precision):
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3)(inputs)
    x = layers.BatchNormalization()(Forgets(2.0, 1.5)(x))
    x = layers.TimeDistributed(Forgets(0.5, -0.1))(x)
    model = keras.Model(inputs, layers.Dense(5)(layers.Flatten()(x)))
    expected = model(images, training=False)
    outputs, _ = Twin(model, precision=precision)(images, training=False)
    error = np.abs(outputs["logits"] - expected).max() / np.abs(expected).max()
    assert error < (1e-5 if precision == "float32" else 0.02)


def test_a_whole_custom_layer_still_runs_in_low_precision(images):
    layer = Forgets(2.0, tells=["factor"])
    parts = [layers.Conv2D(4, 3), layer, layers.Flatten(), layers.Dense(5)]
    model = keras.Sequential([keras.Input((8, 8, 3)), *parts])
    twin = Twin(model, precision="mixed_bfloat16")
    (copy,) = (part for part in twin.layers if isinstance(part, Forgets))
    assert copy is not layer
    assert copy.compute_dtype == "bfloat16"


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_a_variable_that_keras_does_not_track_stays_the_model_s(images, precision):
    @register
    class Counts(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.calls = {"all": [tf.Variable(0.0)]}

        def call(self, inputs):
            self.calls["all"][0].assign_add(1.0)
            return inputs

    layer = Counts()
    model = keras.Sequential([keras.Input((8, 8, 3)), layer, layers.Flatten(), layers.Dense(5)])
    twin = Twin(model, precision=precision)
    before = float(layer.calls["all"][0])
    twin(images, training=True)
    assert float(layer.calls["all"][0]) == before + 1
