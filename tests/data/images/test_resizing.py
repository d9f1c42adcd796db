import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from kd_keras.data.images import resizing

HEIGHT, WIDTH = 16, 24


def picture(height, width):
    """A smooth one, so that Pillow's rounding between its two passes stays within a level."""
    coarse = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def resized(image, how, height=HEIGHT, width=WIDTH):
    result = resizing.resized(tf.constant(np.asarray(image)), height=height, width=width, how=how)
    assert result.dtype == tf.uint8
    return result.numpy()


def by_pillow(image, how):
    bilinear = Image.Resampling.BILINEAR
    if how == "squash":
        return image.resize((WIDTH, HEIGHT), bilinear)
    if how == "pad":
        return ImageOps.pad(image, (WIDTH, HEIGHT), bilinear)
    scale = max(HEIGHT / image.height, WIDTH / image.width)
    full = image.resize((round(image.width * scale), round(image.height * scale)), bilinear)
    left, top = (full.width - WIDTH) // 2, (full.height - HEIGHT) // 2
    return full.crop((left, top, left + WIDTH, top + HEIGHT))


@pytest.mark.parametrize("how", resizing.RESIZES)
@pytest.mark.parametrize("size", [(40, 60), (60, 40), (8, 9), (300, 31), (5, 7), (9, 90), (32, 48)])
def test_every_way_gives_the_pixels_that_pillow_gives(how, size):
    image = picture(*size)
    expected = np.asarray(by_pillow(image, how)).astype(int)
    np.testing.assert_allclose(resized(image, how).astype(int), expected, atol=1)


@pytest.mark.parametrize("how", resizing.RESIZES)
def test_an_image_of_the_size_stays_as_it_is(how):
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resized(noise, how), noise)


def test_one_side_that_fits_is_cut_or_bordered_without_blur():
    noise = np.random.default_rng(0).integers(0, 256, (9, 8, 1), dtype=np.uint8)
    np.testing.assert_array_equal(resized(noise, "crop", 8, 8), noise[:8])
    bordered = np.pad(noise, ((0, 0), (0, 1), (0, 0)))
    np.testing.assert_array_equal(resized(noise, "pad", 9, 9), bordered)


def test_pad_draws_black_borders_on_both_sides_and_crop_keeps_the_centre():
    white = np.full((4, 16, 3), 255, np.uint8)
    rows = resized(white, "pad", 8, 8)[:, 0, 0]
    np.testing.assert_array_equal(rows, [0, 0, 0, 255, 255, 0, 0, 0])
    thirds = np.repeat(np.array([10, 100, 200], np.uint8), 8)[None, :, None].repeat(8, axis=0)
    np.testing.assert_array_equal(resized(thirds, "crop", 8, 8)[:, :, 0], np.full((8, 8), 100))


def test_a_very_long_image_needs_no_memory_for_what_is_cut_off():
    line = np.full((1, 65_000, 3), 9, np.uint8)  # scaled whole it would be 224 x 14,560,000
    assert (resized(line, "crop", 224, 224) == 9).all()


def test_a_size_unknown_in_the_graph_gives_a_known_one():
    images = tf.data.Dataset.from_tensors(np.asarray(picture(40, 60)))
    images = images.map(lambda image: tf.ensure_shape(image, (None, None, 3)))
    (spec,) = [
        images.map(lambda x: resizing.resized(x, height=4, width=6, how="crop")).element_spec
    ]
    assert spec == tf.TensorSpec((4, 6, 3), tf.uint8)


def test_an_unknown_way_is_refused():
    with pytest.raises(ValueError, match=r"resize is 'corp'; .*crop, pad, squash.*mean 'crop'"):
        resized(picture(4, 4), "corp")
