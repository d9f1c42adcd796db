"""Weights that are not numbers are found and named; those that are pass."""

import keras
import numpy as np
import pytest
from keras import layers

from kd_keras.graph import finite


@pytest.fixture
def model():
    parts = [layers.Dense(4, name="inner"), layers.BatchNormalization(name="norm")]
    return keras.Sequential([keras.Input((3,)), *parts, layers.Dropout(0.5)], name="net")


def test_finite_weights_pass_however_large(model):
    model.layers[0].kernel.assign(np.full((3, 4), 3e38))
    assert finite.describe_non_finite(model.variables) == ""
    assert finite.describe_non_finite([]) == ""
    finite.require(model)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_is_counted_and_named(model, value):
    kernel = np.zeros((3, 4))
    kernel[1, :2] = value
    model.layers[0].kernel.assign(kernel)
    assert finite.describe_non_finite(model.variables) == "2 of 12 values of net/inner/kernel"
    with pytest.raises(ValueError, match=r"'net' has weights that are NaN .*: 2 of 12 .*lower lea"):
        finite.require(model)


def test_statistics_of_batch_norms_count_and_other_state_does_not(model):
    mask = model.add_weight(shape=(2,), initializer="zeros", trainable=False, name="mask")
    mask.assign([0.0, -np.inf])
    finite.require(model)
    model.layers[1].moving_variance.assign(np.full(4, np.inf))
    model.layers[1].gamma.assign(np.full(4, np.nan))
    with pytest.raises(ValueError, match=r"4 of 4 values of net/norm/gamma, and some in 1 other"):
        finite.require(model)


def test_half_precision_is_looked_at_too():
    variable = keras.Variable([1.0, 6e4], dtype="float16")
    assert finite.describe_non_finite([variable]) == ""
    variable.assign([1.0, np.inf])
    assert finite.describe_non_finite([variable]).startswith("1 of 2 values")
