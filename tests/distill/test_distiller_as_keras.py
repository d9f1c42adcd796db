"""The Distiller without methods beside Keras's own fit: state, frozen parts, losses, masks."""

import itertools

import keras
import numpy as np
import pytest
from keras import layers, ops

from kd_keras import Distiller

CLASSES, BATCH = 5, 8
FLOAT32, BFLOAT16 = "float32", "mixed_bfloat16"
CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def some_in_the_suite(*in_the_suite, pairs):
    """For `parametrize`: all pairs, of which those outside the suite are marked `extended`."""
    extended = pytest.mark.extended
    return [pytest.param(*pair, marks=[] if pair in in_the_suite else extended) for pair in pairs]


def both_trained(make, x, y, *, prepare=lambda model: None, epochs=1, precision="float32"):
    """(model, history) of Keras's fit, then of the Distiller's; `prepare` comes after compile."""
    trained = []
    for by_keras in (True, False):
        keras.utils.set_random_seed(1)
        model = make()
        learner = model if by_keras else Distiller(model, precision=precision)
        optimizer = keras.optimizers.SGD(0.1)
        learner.compile(optimizer, **({"loss": CROSS_ENTROPY} if by_keras else {}))
        prepare(model)
        known = {"batch_size": BATCH, "verbose": 0}
        validation = (x[:BATCH], y[:BATCH])
        history = learner.fit(
            x, y, shuffle=False, epochs=epochs, validation_data=validation, **known
        ).history
        trained.append((model, history))
    return trained


def assert_same(trained, *, atol=1e-5):
    (expected, expected_history), (actual, history) = trained
    for value, other in zip(expected.variables, actual.variables, strict=True):
        np.testing.assert_allclose(value, other, atol=atol, err_msg=value.path)
    for name, values in expected_history.items():
        np.testing.assert_allclose(values, history[name], rtol=1e-4, atol=atol, err_msg=name)


def on_images(*parts):
    """A make() of a classifier; each part makes a layer."""

    def make():
        inputs = x = keras.Input((8, 8, 3))
        for part in parts:
            x = part()(x)
        return keras.Model(inputs, layers.Dense(CLASSES)(layers.Flatten()(x)))

    return make


@keras.saving.register_keras_serializable(package="test_distiller_as_keras")
class Watched(layers.Layer):
    """Keeps the mean of its activations, and counts its calls by variables of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.mean = keras.metrics.Mean(name="activation")
        self.inner = layers.Activation("relu")

    def build(self, shape):
        self.calls = self.add_weight(shape=(), trainable=False, initializer="zeros")

    def call(self, inputs):
        self.mean.update_state(ops.mean(ops.abs(inputs)))
        self.calls.assign_add(1.0)
        return self.inner(inputs)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_a_metric_of_a_layer_is_updated_logged_and_reset(images, labels, precision):
    make = on_images(lambda: layers.Conv2D(4, 3), lambda: Watched(name="watched"))
    trained = both_trained(make, images, labels, epochs=2, precision=precision)
    (expected, expected_history), (actual, history) = trained
    tolerance = 1e-5 if precision == "float32" else 0.02
    for name in ("activation", "val_activation"):
        np.testing.assert_allclose(history[name], expected_history[name], rtol=tolerance)
    mean = [float(model.get_layer("watched").mean.result()) for model in (expected, actual)]
    assert mean[1] == pytest.approx(mean[0], rel=tolerance)
    assert float(actual.get_layer("watched").calls) == float(expected.get_layer("watched").calls)


def test_a_metric_in_a_nested_or_subclassed_student_is_logged(images, labels):
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.watched, self.dense = Watched(), layers.Dense(CLASSES)

        def call(self, inputs):
            return self.dense(ops.mean(self.watched(inputs), (1, 2)))

    def subclassed():
        model = Subclassed()
        model(images[:BATCH])
        return model

    def nested():
        inner = keras.Sequential([keras.Input((8, 8, 3)), Watched()])
        return on_images(lambda: inner)()

    for make in (subclassed, nested):
        assert_same(both_trained(make, images, labels))


@pytest.mark.parametrize(
    ("kind", "precision"),
    some_in_the_suite(
        ("LSTM", FLOAT32),
        ("Bidirectional", BFLOAT16),
        pairs=itertools.product(("LSTM", "GRU", "Bidirectional"), (FLOAT32, BFLOAT16)),
    ),
)
def test_a_stateful_layer_keeps_its_state(images, labels, kind, precision):
    def make():
        inputs = keras.Input(batch_shape=(BATCH, 8, 8, 3))
        cells = {"LSTM": layers.LSTM, "GRU": layers.GRU, "Bidirectional": layers.LSTM}[kind]
        layer = cells(4, stateful=True)
        if kind == "Bidirectional":
            layer = layers.Bidirectional(layer)
        rows = layer(layers.Reshape((8, 24))(inputs))
        return keras.Model(inputs, layers.Dense(CLASSES)(rows))

    def state(model):
        layer = model.layers[2]
        layer = layer.forward_layer if kind == "Bidirectional" else layer
        return layer.states[0].numpy()

    trained = both_trained(make, images, labels, precision=precision)
    expected, actual = (state(model) for model, _ in trained)
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(actual, expected, atol=1e-5 if precision == "float32" else 0.02)
    if precision == "float32":
        assert_same(trained)


def test_a_seed_that_no_layer_holds_moves_on(images, labels):
    class Noise(layers.Layer):
        def call(self, inputs):
            return inputs + keras.random.normal(ops.shape(inputs))  # by Keras's global seed

    assert_same(both_trained(on_images(Noise), images, labels, epochs=2))


@keras.saving.register_keras_serializable(package="test_distiller_as_keras")
class Block(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.norm, self.other = layers.BatchNormalization(), layers.BatchNormalization()

    def call(self, inputs, training=None):
        return self.other(self.norm(inputs, training=training), training=training)


def norms(model):
    return [p for p in model._flatten_layers() if isinstance(p, layers.BatchNormalization)]


@pytest.mark.parametrize(
    ("wrap", "precision"),
    some_in_the_suite(
        ("flat", FLOAT32),
        ("nested", BFLOAT16),
        ("block", FLOAT32),
        pairs=itertools.product(("flat", "nested", "block"), (FLOAT32, BFLOAT16)),
    ),
)
def test_what_is_frozen_after_compile_stays(images, labels, wrap, precision):
    def make():
        if wrap == "block":
            return on_images(Block)()
        pair = [keras.Input((8, 8, 3)), *(layers.BatchNormalization() for _ in range(2))]
        inner = keras.Sequential(pair)
        return on_images(
            *((lambda p=p: p) for p in inner.layers) if wrap == "flat" else [lambda: inner]
        )()

    def freeze(model):
        norms(model)[0].trainable = False

    trained = both_trained(make, images, labels, prepare=freeze, precision=precision)
    frozen, moving = norms(trained[1][0])
    np.testing.assert_array_equal(frozen.moving_mean, np.zeros(3))
    assert np.abs(moving.moving_mean).max() > 0.001
    assert moving.trainable  # the Distiller changes nothing of it
    if precision == "float32":
        assert_same(trained)


def test_what_is_frozen_and_unfrozen_between_fits_is_followed(images, labels):
    keras.utils.set_random_seed(1)
    student = on_images(layers.BatchNormalization)()
    norm = student.layers[1]
    distiller = Distiller(student)
    norm.trainable = False
    distiller.compile("sgd")
    norm.trainable = True
    distiller.fit(images, labels, verbose=0)
    moved = norm.moving_mean.numpy()
    assert np.any(moved)
    norm.trainable = False
    distiller.compile("sgd")
    distiller.fit(images, labels, verbose=0)
    np.testing.assert_array_equal(norm.moving_mean, moved)
    norm.trainable = True
    distiller.train_function = None  # built anew, without compiling
    distiller.optimizer.build(distiller.trainable_variables)
    distiller.compile("sgd")
    distiller.train_on_batch(images, labels)
    assert np.any(norm.moving_mean.numpy() != moved)


@keras.saving.register_keras_serializable(package="test_distiller_as_keras")
class PerExample(layers.Layer):
    def call(self, inputs):
        self.add_loss(0.01 * ops.sum(ops.square(inputs), axis=(1, 2, 3)))  # (B,)
        return inputs


def test_a_loss_of_a_value_per_example_is_summed_as_keras_sums_it(images, labels):
    make = on_images(lambda: layers.Conv2D(2, 3), PerExample)
    (expected, expected_history), (actual, history) = both_trained(make, images, labels)
    for value, other in zip(expected.variables, actual.variables, strict=True):
        np.testing.assert_allclose(value, other, atol=1e-5)
    assert history["loss"] == pytest.approx(expected_history["loss"], rel=1e-5)


class Penalised(keras.Model):
    def __init__(self, dtype):
        super().__init__(dtype=dtype)
        self.conv = layers.Conv2D(2, 3, activity_regularizer="l2", dtype=dtype)
        self.vector = PerExample(dtype=dtype)
        self.dense = layers.Dense(CLASSES, dtype="float32")

    def call(self, inputs):
        return self.dense(ops.mean(self.vector(self.conv(inputs)), (1, 2)))


@pytest.fixture(scope="module")
def penalised_in_float32(images, labels):
    """(model, history) of a subclassed student with regularisers, by Keras and by the Distiller."""

    def make():
        model = Penalised("float32")
        model(images[:BATCH])
        return model

    return both_trained(make, images, labels)


def test_regularisers_of_a_subclassed_student_are_summed(penalised_in_float32):
    (expected, expected_history), (actual, history) = penalised_in_float32
    for value, other in zip(expected.variables, actual.variables, strict=True):
        np.testing.assert_allclose(value, other, atol=1e-5)
    assert history["loss"] == pytest.approx(expected_history["loss"], rel=1e-5)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_regularisers_are_summed_in_float32(images, labels, dtype, penalised_in_float32):
    # Keras itself adds up losses of two types only if the first is the lower one's.
    (_, (_, exact)) = penalised_in_float32
    np.testing.assert_allclose(loss_of_training(dtype, images, labels), exact["loss"], rtol=0.02)


def loss_of_training(dtype, images, labels):
    keras.utils.set_random_seed(1)
    model = Penalised(dtype)
    model(images[:BATCH])
    distiller = Distiller(model)
    optimizer = keras.optimizers.SGD(0.1)
    if model.dtype_policy.name == "mixed_float16":  # no step is lost to too large a scale
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=16)
    distiller.compile(optimizer)
    return distiller.fit(images, labels, batch_size=BATCH, shuffle=False, verbose=0).history["loss"]


@pytest.mark.parametrize("linear", ["dense", "none"])
def test_a_batch_norm_that_is_given_a_mask_trains_and_evaluates(images, labels, linear):
    def make():
        inputs = keras.Input((8, 24))
        x = layers.Masking()(inputs)
        x = layers.Dense(4)(x) if linear == "dense" else x
        x = layers.BatchNormalization(momentum=0.5)(x)
        return keras.Model(inputs, layers.Dense(CLASSES)(layers.GlobalAveragePooling1D()(x)))

    rows = images.reshape(-1, 8, 24).copy()
    rows[:, 5:] = 0.0  # masked
    trained = both_trained(make, rows, labels, epochs=2)
    assert_same(trained)
    expected = trained[0][0](rows, training=False)
    np.testing.assert_allclose(trained[1][0](rows, training=False), expected, atol=1e-5)
