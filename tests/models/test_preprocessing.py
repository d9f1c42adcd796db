import keras
import numpy as np
import pytest

from kd_keras.models import preprocessing

# One pixel of red 255, green 0, blue 102 in each mode, by hand.
ENCODED = {
    "0..255": [255, 0, 102],
    "0..1": [1, 0, 0.4],
    "-1..1": [1, -1, -0.2],
    "caffe": [102 - 103.939, -116.779, 255 - 123.68],
    "torch": [(1 - 0.485) / 0.229, -0.456 / 0.224, (0.4 - 0.406) / 0.225],
}


@pytest.mark.parametrize("mode", preprocessing.MODES)
def test_a_pixel_by_hand(mode):
    image = np.array([255, 0, 102], "float32").reshape(1, 1, 1, 3)
    inputs = keras.Input((1, 1, 3))
    result = keras.Model(inputs, preprocessing.encode(inputs, mode))(image)
    np.testing.assert_allclose(np.ravel(result), ENCODED[mode], atol=1e-4)
    np.testing.assert_allclose(
        np.ravel(preprocessing.encode_array(image, mode)), ENCODED[mode], atol=1e-4
    )


def test_three_channels_repeats_grey_and_leaves_colour():
    grey, colour = keras.Input((2, 2, 1)), keras.Input((2, 2, 3))
    image = np.arange(4, dtype="float32").reshape(1, 2, 2, 1)
    result = keras.Model(grey, preprocessing.three_channels(grey))(image)
    np.testing.assert_array_equal(result, np.repeat(image, 3, axis=-1))
    assert preprocessing.three_channels(colour) is colour


def test_bad_modes_are_refused_with_a_message():
    with pytest.raises(ValueError, match=r"preprocessing is 'cafe'.*Did you mean 'caffe'\?"):
        preprocessing.encode(keras.Input((2, 2, 3)), "cafe")
    with pytest.raises(ValueError, match=r"'torch' got images of 1 channel\(s\); expected 3"):
        preprocessing.encode(keras.Input((2, 2, 1)), "torch")
