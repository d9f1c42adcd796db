import numpy as np
import pytest
from sklearn.datasets import load_digits

from kd_keras import data


def test_they_are_scikit_learn_s_digits_stretched_to_255(tmp_path):
    dataset = data.load("digits", cache_dir=tmp_path)
    stored = dataset.train.images
    assert (stored.shape, stored.dtype) == ((1797, 8, 8, 1), np.uint8)
    expected = load_digits().images
    np.testing.assert_allclose(stored[..., 0], expected * 255 / 16, atol=0.5)
    assert dataset.summary() == "1,438 train images in 10 classes, 359 validation images, 8x8x1"
    assert dataset.class_names == tuple("0123456789")
    assert not dataset.augment.flip
    assert dataset.augment.crop_padding == 1


def test_validation_is_a_fifth_of_every_class(tmp_path):
    dataset = data.load("digits", cache_dir=tmp_path)
    shares = np.bincount(dataset.validation.labels) / np.bincount(load_digits().target)
    np.testing.assert_allclose(shares, 0.2, atol=0.005)
    assert not set(dataset.train.ids) & set(dataset.validation.ids)


def test_a_larger_size_repeats_every_pixel(tmp_path):
    small = data.load("digits", cache_dir=tmp_path)
    large = data.load("digits", cache_dir=tmp_path, image_size=16)
    assert large.image_shape == (16, 16, 1)
    for corner in (large.train.images[:, ::2, ::2], large.train.images[:, 1::2, 1::2]):
        np.testing.assert_array_equal(corner, small.train.images)
    assert large.fingerprint != small.fingerprint


@pytest.mark.parametrize(("size", "message"), [(30, "multiple of 8 .* such as 24"), (4, ">= 8")])
def test_a_size_that_is_no_multiple_of_8_is_refused(tmp_path, size, message):
    with pytest.raises(ValueError, match=rf"image_size is {size}; expected a .*{message}"):
        data.load("digits", cache_dir=tmp_path, image_size=size)
    assert not list(tmp_path.iterdir())
