import numpy as np
import pytest

from kd_keras.data.stores.joined_images import JoinedImages


def test_rows_of_several_arrays_read_as_one(images_of):
    parts = [images_of(5), images_of(3, seed=1), images_of(4, seed=2)]
    joined, expected = JoinedImages(parts), np.concatenate(parts)
    assert (joined.shape, len(joined), joined.ndim) == (expected.shape, 12, 4)
    assert joined.dtype == np.uint8
    for rows in (np.arange(12), np.array([11, 0, 5, 4, 7, 8, 0]), np.zeros(0, int)):
        np.testing.assert_array_equal(joined[rows], expected[rows])


def test_images_of_different_shapes_are_refused(images_of):
    with pytest.raises(ValueError, match=r"shapes \[\(4, 4, 3\), \(8, 8, 3\)\]; expected one"):
        JoinedImages([images_of(2), images_of(2, side=4)])
