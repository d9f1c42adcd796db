import keras
import numpy as np
import pytest

from kd_keras.models import blocks


def run(inputs, outputs, array):
    return keras.ops.convert_to_numpy(keras.Model(inputs, outputs)(array.astype("float32")))


@pytest.mark.parametrize("stride", [1, 2])
def test_convolutions_pad_all_sides_alike(stride):
    # A kernel of ones sums each place's 3 x 3 neighbours; zeros lie outside, left and top too.
    inputs = keras.Input((4, 4, 1))
    model = keras.Model(inputs, blocks.conv(inputs, 1, 3, stride=stride, name="conv"))
    model.set_weights([np.ones((3, 3, 1, 1))])
    image = np.arange(16, dtype="float32").reshape(4, 4)
    padded = np.pad(image, 1)
    expected = [[padded[i : i + 3, j : j + 3].sum() for j in range(4)] for i in range(4)]
    result = np.squeeze(model(image[None, ..., None]))
    np.testing.assert_allclose(result, np.array(expected)[::stride, ::stride])


@pytest.mark.parametrize(("size", "kernel"), [(5, 3), (4, 1), (1, 3)])
def test_a_stride_of_two_rounds_up(size, kernel):
    x = blocks.conv(keras.Input((size, size, 1)), 2, kernel, stride=2, name="conv")
    assert x.shape == (None, -(-size // 2), -(-size // 2), 2)


def test_convolutions_have_he_initialisation():
    inputs = keras.Input((8, 8, 32))
    keras.utils.set_random_seed(0)
    model = keras.Model(inputs, blocks.conv_bn(inputs, 64, 3, name="x"))
    kernel = model.get_layer("x_conv").get_weights()[0]
    assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * 64)), rel=0.02)
    assert model.get_layer("x_conv").bias is None
    assert (model.get_layer("x").momentum, model.get_layer("x").epsilon) == (0.9, 1e-5)


def test_shuffle_interleaves_the_groups():
    inputs = keras.Input((1, 1, 6))
    result = run(inputs, blocks.shuffle(inputs, 3), np.arange(6).reshape(1, 1, 1, 6))
    assert np.ravel(result).tolist() == [0, 2, 4, 1, 3, 5]


@pytest.mark.parametrize(
    ("channels", "width", "multiple", "expected"),
    [(16, 1.0, 1, 16), (16, 0.5, 1, 8), (24, 0.5, 12, 12), (24, 0.01, 12, 12), (3, 0.1, 1, 1)],
)
def test_scaled_rounds_to_the_multiple(channels, width, multiple, expected):
    assert blocks.scaled(channels, width, multiple=multiple) == expected
