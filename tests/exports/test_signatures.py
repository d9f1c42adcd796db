import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from kd_keras.data.images import decode, resizing
from kd_keras.exports import signatures


def photograph(orientation):
    """A JPEG of 48 x 32 pixels, as a phone writes it, and Pillow's upright image of it."""
    coarse = np.random.default_rng(orientation).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    stored = Image.fromarray(coarse).resize((48, 32), Image.Resampling.BICUBIC)
    stored.save(file, "JPEG", exif=exif, quality=95, subsampling=0)
    return file.getvalue(), ImageOps.exif_transpose(Image.open(file)).convert("RGB")


def test_files_become_the_pixels_that_pillow_shows_upright():
    files, upright = zip(*[photograph(value) for value in range(1, 9)], strict=True)
    fit = {
        "crop": lambda image: ImageOps.fit(image, (12, 12), Image.Resampling.BILINEAR),
        "pad": lambda image: ImageOps.pad(image, (12, 12), Image.Resampling.BILINEAR),
        "squash": lambda image: image.resize((12, 12), Image.Resampling.BILINEAR),
    }
    for resize, resized in fit.items():
        pixels = signatures.decoded(tf.constant(files), (12, 12, 3), resize=resize).numpy()
        expected = np.stack([np.asarray(resized(image)) for image in upright])
        difference = np.abs(pixels.astype(int) - expected)
        # The two JPEG decoders differ by a few levels.
        assert difference.mean() < 2, resize


@pytest.mark.parametrize("resize", resizing.RESIZES)
def test_a_file_becomes_the_pixels_that_it_has_in_training(resize):
    file, _ = photograph(6)
    (served,) = signatures.decoded(tf.constant([file]), (12, 12, 3), resize=resize)
    trained = decode.decode(tf.constant(file), size=12, channels=3, resize=resize)
    np.testing.assert_array_equal(served, trained)


def test_resizing_averages_to_whole_pixels():
    # Columns 0, 255, 0, 255…: without antialias the wanted column would be 0 or 255.
    stripes = np.tile(np.array([0, 255], np.uint8), (32, 16))[:, :, None]
    files = tf.stack([tf.io.encode_png(stripes)])
    pixels = signatures.decoded(files, (4, 4, 3), resize="squash")
    assert pixels.dtype == tf.uint8
    assert pixels.shape == (1, 4, 4, 3)
    np.testing.assert_allclose(pixels.numpy()[:, 1:3, 1:3].astype(int), 127.5, atol=4)


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: [x], lambda x: {"logits": x, "tap": -x}])
def test_logits_are_taken_from_whatever_holds_them(wrap):
    answer = signatures.answer(lambda x, training: wrap(x[:, 0, 0]), head="logits")
    served = answer(tf.constant(np.full((2, 1, 1, 3), 7, np.uint8)))
    np.testing.assert_array_equal(served["logits"], np.full((2, 3), 7.0))
    np.testing.assert_allclose(served["probabilities"], np.full((2, 3), 1 / 3), rtol=1e-6)
