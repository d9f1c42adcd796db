import keras
import numpy as np
import pytest
from keras import layers

from kd_keras import models
from kd_keras.graph import folding, taps, twins

BN = layers.BatchNormalization


def randomised(model, seed=0):
    """Fresh numbers in every weight: batch norms that do something."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        if variable.dtype == "float32":
            low = 0.5 if "variance" in variable.name or "gamma" in variable.name else -0.5
            variable.assign(rng.uniform(low, low + 1, variable.shape))
    return model


def chain(*parts, shape=(8, 8, 6)):
    inputs = x = keras.Input(shape)
    for part in parts:
        x = part(x)
    x = layers.Flatten()(x)
    return randomised(keras.Model(inputs, layers.Dense(3, name="logits")(x)))


def nested():
    inputs = keras.Input((8, 8, 6))
    x = layers.Conv2D(4, 3, name="conv")(inputs)
    inner = keras.Model(inputs, layers.ReLU(name="out")(BN(name="norm")(x)), name="backbone")
    return chain(inner)


MODELS = {  # a model, and how many of its batch norms can be folded
    "conv, no bias": lambda: (chain(layers.Conv2D(4, 3, use_bias=False), BN()), 1),
    "conv, groups": lambda: (chain(layers.Conv2D(4, 3, groups=2), BN()), 1),
    "neither scale nor centre": lambda: (
        chain(layers.Conv2D(4, 3), BN(scale=False, center=False)),
        1,
    ),
    "depthwise": lambda: (chain(layers.DepthwiseConv2D(3, depth_multiplier=2), BN()), 1),
    "separable": lambda: (chain(layers.SeparableConv2D(4, 3), BN()), 1),
    "transposed": lambda: (chain(layers.Conv2DTranspose(4, 3, strides=2), BN()), 1),
    "dense": lambda: (chain(layers.Flatten(), layers.Dense(5), BN()), 1),
    "one after the other": lambda: (
        chain(layers.Conv2D(4, 3), BN(), layers.ReLU(), layers.Conv2D(5, 1), BN()),
        2,
    ),
    "two norms": lambda: (chain(layers.Conv2D(4, 3), BN(), BN()), 1),
    "norm before the convolution": lambda: (chain(BN(), layers.Conv2D(4, 3, padding="same")), 0),
    "an activation between": lambda: (chain(layers.Conv2D(4, 3, activation="relu"), BN()), 0),
    "another axis": lambda: (chain(layers.Conv2D(4, 3), BN(axis=1)), 0),
    "nested": lambda: (nested(), 1),
}


def images(model, count=4):
    return np.random.default_rng(1).uniform(0, 255, (count, *model.inputs[0].shape[1:])) / 100


@pytest.mark.parametrize("case", MODELS)
def test_a_folded_twin_gives_the_model_s_outputs(case):
    model, expected = MODELS[case]()
    assert len(folding.pairs(taps.tapped_model(model))) == expected
    x = images(model)
    twin = twins.Twin(model, folded=True)
    np.testing.assert_allclose(
        twin(x, training=False)[0]["logits"], model(x, training=False), rtol=1e-5, atol=1e-5
    )


def test_what_is_seen_elsewhere_is_not_folded():
    inputs = keras.Input((8, 8, 6))
    conv, norm = layers.Conv2D(6, 3, padding="same", name="conv"), BN()
    once = layers.Add()([norm(conv(inputs)), inputs])
    twice = layers.Add()([conv(once), norm(once)])
    outputs = layers.Dense(3, name="logits")(layers.GlobalAveragePooling2D()(twice))
    shared = randomised(keras.Model(inputs, outputs))
    assert folding.pairs(taps.tapped_model(shared)) == []
    x = images(shared)
    np.testing.assert_allclose(
        twins.Twin(shared, folded=True)(x, training=False)[0]["logits"], shared(x), rtol=1e-5
    )
    pair = keras.Input((8, 8, 6))
    features = conv(pair)
    added = layers.GlobalAveragePooling2D()(layers.Add()([features, norm(features)]))
    assert folding.pairs(taps.tapped_model(keras.Model(pair, layers.Dense(3)(added)))) == []


def test_a_tap_between_the_two_keeps_them_apart():
    model = nested()
    x = images(model)
    plain = twins.Twin(model, ["backbone/conv"])(x, training=False)[0]
    folded = twins.Twin(model, ["backbone/conv"], folded=True)(x, training=False)[0]
    for name, value in plain.items():
        np.testing.assert_allclose(folded[name], value, rtol=1e-5, atol=1e-5)


def test_weights_are_read_at_each_call():
    model, _ = MODELS["conv, no bias"]()
    twin, x = twins.Twin(model, folded=True), images(model)
    randomised(model, seed=5)
    np.testing.assert_allclose(
        twin(x, training=False)[0]["logits"], model(x, training=False), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    "name",
    [
        *("resnet8x4", "mobilenetv2", "vgg8"),
        *(pytest.param(name, marks=pytest.mark.extended) for name in ("shufflenetv1", "wrn_16_1")),
    ],
)
def test_folding_keeps_the_outputs_of_the_models_of_the_package(name):
    model = randomised(models.get(name, num_classes=5, input_shape=(32, 32, 3)))
    # Weights of one sign would make outputs of 1e10: kernels centred, small.
    for variable in model.variables:
        if variable.name == "kernel":
            variable.assign(variable * (2 / np.prod(variable.shape[:-1])) ** 0.5)
    pairs = folding.pairs(taps.tapped_model(model))
    assert len(pairs) >= 3
    x = 100 * images(model, 2)
    expected = model(x, training=False)
    result = twins.Twin(model, folded=True)(x, training=False)[0]["logits"]
    scale = np.abs(expected).max()
    np.testing.assert_allclose(result / scale, expected / scale, atol=1e-5)


def test_folding_in_bfloat16_is_close_to_float32():
    model, _ = MODELS["one after the other"]()
    x = images(model)
    twin = twins.Twin(model, folded=True, precision="mixed_bfloat16")
    result, expected = twin(x, training=False)[0]["logits"], model(x, training=False)
    assert np.linalg.norm(result - expected) <= 0.02 * np.linalg.norm(expected)
