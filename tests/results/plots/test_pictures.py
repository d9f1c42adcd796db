import numpy as np

from kd_keras.results.plots import pictures


def test_small_images_are_enlarged_and_lie_in_rows_with_room_for_names():
    images = np.random.default_rng(0).integers(0, 256, (3, 36, 40, 3), dtype=np.uint8)
    result = pictures.grid(images, ["cat", "dog", "a"])
    assert result.dtype == np.uint8
    # Twice as large; 16 pixels for a name, 4 between the images.
    assert result.shape == (2 * (72 + 16) + 4, 2 * 80 + 4, 3)
    np.testing.assert_array_equal(result[:72:2, 84::2], images[1])
    np.testing.assert_array_equal(result[1:72:2, 85::2], images[1])
    np.testing.assert_array_equal(result[92:164:2, :80:2], images[2])
    assert (result[92:, 84:] == 255).all()  # no fourth image


def test_a_name_is_written_under_its_image_and_no_wider():
    grey = np.full((2, 72, 72, 1), 128, np.uint8)
    picture = pictures.grid(grey, ["cat", "W" * 50])
    assert (picture[72:88, :72] < 128).any()
    assert (picture[72:88, 76:] < 128).any()
    assert (picture[72:88, 72:76] == 255).all()
    assert (pictures.grid(grey, ["", ""])[72:88] == 255).all()
