import keras
import numpy as np
import pytest
from keras import layers

from kd_keras.graph import float32_form, precision


@pytest.fixture
def policy():
    """policy(name) sets Keras's global dtype policy until the test ends."""
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


def test_a_float32_model_is_returned_as_it_is(student):
    assert float32_form.in_float32(student) is student


@pytest.mark.parametrize("name", ["mixed_bfloat16", "mixed_float16"])
def test_a_nested_model_of_low_precision_gets_a_float32_copy(name, policy, net, images):
    plain = net("student")
    policy(name)
    inputs = keras.Input((8, 8, 3))
    inner = net("student")
    low = keras.Model(inputs, layers.Activation("linear", dtype="float32")(inner(inputs)))
    inner.set_weights(plain.get_weights())
    policy("float32")
    copy = float32_form.in_float32(low)
    assert precision.lowest_precision([copy]) == "float32"
    np.testing.assert_allclose(copy(images), plain(images), rtol=1e-5, atol=1e-6)
    assert precision.lowest_precision([low]) == name  # the user's model stays as it was


class WithoutConfiguration(layers.Layer):
    def __init__(self, units, dtype):
        super().__init__(dtype=dtype)
        self.dense = layers.Dense(units, dtype=dtype)

    def call(self, inputs):
        return self.dense(inputs)


def test_a_layer_without_a_configuration_is_refused():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, WithoutConfiguration(3, "mixed_bfloat16")(inputs), name="own")
    with pytest.raises(ValueError, match="'own' computes in mixed_bfloat16, and a float32 copy"):
        float32_form.in_float32(model)
