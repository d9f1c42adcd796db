"""Two teachers have one fingerprint exactly where they are one function under automatic names."""

import keras
import numpy as np
import pytest
from keras import layers

from kd_keras import models
from kd_keras.graph import architecture
from kd_keras.teacher_cache import fingerprint


def activated(activation, **options):
    inputs = keras.Input((4,))
    return keras.Model(inputs, layers.Activation(activation, **options)(inputs))


def nested(*, strides):
    inner_inputs = keras.Input((8, 8, 1))
    pooled = layers.AveragePooling2D(2, strides=strides)(inner_inputs)
    inner = keras.Model(inner_inputs, layers.GlobalAveragePooling2D()(pooled))
    inputs = keras.Input((8, 8, 1))
    return keras.Model(inputs, inner(inputs))


def wrapped(activation):
    inputs = keras.Input((4, 3))
    layer = layers.Dense(3, activation=activation, kernel_initializer="ones")
    return keras.Model(inputs, layers.TimeDistributed(layer)(inputs))


def wired(first, second):
    """Two dense layers of equal weights, a ReLU between them: which one reads the input."""
    inputs = keras.Input((3,))
    one, two = (layers.Dense(3, kernel_initializer="ones", name=name) for name in "ab")
    pair = {"a": one, "b": two}
    x = pair[first](inputs)
    x = layers.Activation("relu")(x)
    return keras.Model(inputs, layers.Add()([pair[second](x), pair[first](inputs)]))


def in_precision(dtype):
    inputs = keras.Input((4,))
    layer = layers.Dense(3, kernel_initializer="ones", dtype=dtype)
    return keras.Model(inputs, layer(inputs))


@keras.saving.register_keras_serializable(package="test")
def doubled(x):
    return 2 * x


@keras.saving.register_keras_serializable(package="test")
def tripled(x):
    return 3 * x


@keras.saving.register_keras_serializable(package="test")
class Table(layers.Layer):
    def __init__(self, values, **others):
        super().__init__(**others)
        self.values = np.asarray(values, "float32")

    def call(self, inputs):
        return inputs * keras.ops.sum(self.values)

    def get_config(self):
        return {**super().get_config(), "values": self.values}


def with_table(middle):
    values = np.zeros(5000)  # str() shows the ends of such an array alone
    values[2500] = middle
    inputs = keras.Input((4,))
    return keras.Model(inputs, Table(values)(inputs))


def lambdas(function):
    inputs = keras.Input((4,))
    return keras.Model(inputs, layers.Lambda(function, output_shape=(4,))(inputs))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda: activated("relu", name="relu"), lambda: activated("tanh", name="tanh")),
        (lambda: activated("relu"), lambda: activated("tanh")),
        (lambda: activated(doubled), lambda: activated(tripled)),
        (lambda: nested(strides=2), lambda: nested(strides=3)),
        (lambda: wrapped("relu"), lambda: wrapped("tanh")),
        (lambda: in_precision("float32"), lambda: in_precision("mixed_bfloat16")),
        (lambda: lambdas(lambda x: x + 1), lambda: lambdas(lambda x: x + 2)),
        (lambda: with_table(1.0), lambda: with_table(2.0)),
        (lambda: wired("a", "b"), lambda: wired("b", "a")),
    ],
    ids=["name", "activation", "object", "nested", "wrapper", "dtype", "lambda", "array", "wires"],
)
def test_what_computes_otherwise_has_another_fingerprint(one, other):
    assert fingerprint.fingerprint(one()) != fingerprint.fingerprint(other())


@pytest.mark.parametrize(
    "build",
    [
        lambda: activated("relu"),
        lambda: nested(strides=2),
        lambda: wrapped("relu"),
        lambda: with_table(1.0),
        lambda: keras.Sequential([keras.Input((4,)), layers.Dense(3, kernel_initializer="ones")]),
        lambda: keras.Sequential([nested(strides=2), layers.Dense(3, kernel_initializer="ones")]),
    ],
)
def test_other_automatic_names_are_the_same_model(build):
    first = build()
    layers.Dense(1), layers.Activation("relu"), keras.Input((1,))  # the counters go on
    second = build()
    assert {layer.name for layer in first.layers} != {layer.name for layer in second.layers}
    assert fingerprint.fingerprint(first) == fingerprint.fingerprint(second)


def test_compiling_or_naming_a_model_leaves_its_fingerprint():
    model = nested(strides=2)
    before = fingerprint.fingerprint(model)
    next(part for part in model.layers if isinstance(part, keras.Model)).compile("sgd", "mse")
    assert fingerprint.fingerprint(model) == before
    renamed = keras.Model(model.input, model.output, name="another")
    assert fingerprint.fingerprint(renamed) == before


def test_a_name_that_a_person_chose_counts_since_features_are_read_by_it():
    assert fingerprint.fingerprint(activated("relu", name="stage1")) != fingerprint.fingerprint(
        activated("relu", name="stage2")
    )


def test_a_model_s_own_class_counts():
    class One(keras.Model):
        def call(self, inputs):
            return inputs + 1

    class Two(keras.Model):
        def call(self, inputs):
            return inputs + 2

    assert fingerprint.fingerprint(One()) != fingerprint.fingerprint(Two())


def test_only_the_fields_of_names_change():
    config = architecture.canonical_config(activated("relu", name="relu").get_config())
    layer = config["layers"][1]
    assert (layer["name"], layer["config"]["activation"]) == ("relu", "relu")
    assert keras.tree.flatten(config["input_layers"]) == [0, 0, 0]
    assert keras.tree.flatten(config["output_layers"]) == ["relu", 0, 0]


def resnet(**knobs):
    return models.get("resnet8", num_classes=3, input_shape=(8, 8, 1), **{"width": 0.25, **knobs})


def test_a_network_made_twice_with_other_weights_and_names_is_one():
    assert architecture.fingerprint(resnet()) == architecture.fingerprint(resnet())
    nested = [keras.Sequential([keras.Input((8, 8, 1)), resnet()]) for _ in range(2)]
    assert architecture.fingerprint(nested[0]) == architecture.fingerprint(nested[1])


@pytest.mark.parametrize("knobs", [{"width": 0.5}, {"stem_stride": 2}])
def test_other_widths_and_strides_are_other_networks(knobs):
    assert architecture.fingerprint(resnet(**knobs)) != architecture.fingerprint(resnet())


def test_a_subclass_has_no_fingerprint_of_its_architecture():
    class Own(keras.Model):
        def call(self, x):
            return x

    assert architecture.fingerprint(Own()) is None


def test_an_activation_is_not_taken_for_the_name_of_its_layer():
    def net(name):
        images = keras.Input((4,))
        return keras.Model(images, keras.layers.Activation(name, name=name)(images))

    assert architecture.fingerprint(net("relu")) != architecture.fingerprint(net("tanh"))
