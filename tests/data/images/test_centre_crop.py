import numpy as np
import pytest

from kd_keras.data.images.centre_crop import centre_crops


def test_a_middle_of_the_right_size_is_cut_out_as_it_is(images_of):
    images = images_of(4, side=16)
    np.testing.assert_array_equal(centre_crops(images, side=14, share=0.875), images[:, 1:15, 1:15])


@pytest.mark.parametrize("channels", [1, 3])
def test_a_whole_image_is_resized(images_of, channels):
    images = np.repeat(np.repeat(images_of(4, side=8, channels=channels), 2, axis=1), 2, axis=2)
    crops = centre_crops(images, side=8, share=1.0)
    assert crops.shape == (4, 8, 8, channels)
    flat = np.full_like(images, 77)
    np.testing.assert_array_equal(centre_crops(flat, side=8, share=1.0), flat[:, :8, :8])
    # Antialiased: close to the mean of the four equal pixels that became one.
    assert np.abs(crops.astype(int).mean() - images.astype(int).mean()) < 2


def test_oblong_images_and_tiny_shares(images_of):
    images = images_of(2, side=16)[:, :10]
    assert centre_crops(images, side=6, share=0.5).shape == (2, 6, 6, 3)
    assert centre_crops(images, side=6, share=1e-3).shape == (2, 6, 6, 3)
