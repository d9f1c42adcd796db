import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kd_keras.data.images import decode


def batches(records, size):
    return decode.batches(records, size=size, channels=3, resize="squash")


def pixels(encoded, size=None, channels=3):
    return decode.decode(encoded, size=size, channels=channels, resize="squash").numpy()


def png(image):
    return tf.io.encode_png(image).numpy()


def file_of(image, kind, **options):
    """An array's image file, as bytes."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()


def records(**files):
    return tf.data.Dataset.from_tensor_slices(
        {"image": list(files.values()), "label": range(len(files)), "name": list(files)}
    )


def test_batches_come_in_order_with_their_labels(images_of):
    pixels = images_of(600)
    files = {f"{n:03}": png(image) for n, image in enumerate(pixels)}
    parts = list(batches(records(**files), size=None))
    np.testing.assert_array_equal(np.concatenate([images for images, _ in parts]), pixels)
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in parts]), np.arange(600))


def test_grey_becomes_three_equal_channels_and_keeps_one_where_one_is_wanted(images_of):
    grey = images_of(1, channels=1)[0]
    three = pixels(png(grey), size=None, channels=3)
    np.testing.assert_array_equal(three, np.repeat(grey, 3, axis=-1))
    np.testing.assert_array_equal(pixels(png(grey), size=None, channels=1), grey)


def test_resizing_averages_and_leaves_what_fits_alone():
    board = np.indices((8, 8)).sum(axis=0) % 2 * 255  # a chess board: its mean is 127.5
    image = np.repeat(board[..., None], 3, axis=-1).astype(np.uint8)
    small = pixels(png(image), size=2, channels=3)
    assert small.shape == (2, 2, 3)
    np.testing.assert_allclose(small, 127.5, atol=20)
    np.testing.assert_array_equal(pixels(png(image), size=8, channels=3), image)


def test_a_file_that_does_not_decode_is_named(images_of):
    good = png(images_of(1)[0])
    files = {f"good{n}": good for n in range(300)} | {"torn.png": good[:-30], "last": good}
    with pytest.raises(ValueError, match=r"^torn\.png does not decode as an image"):
        list(batches(records(**files), size=8))


@pytest.mark.parametrize("odd", [1, 256, 299])
def test_an_image_of_another_size_is_named_unless_a_size_is_given(images_of, odd):
    files = [png(images_of(1)[0])] * 300
    files[odd] = png(images_of(1, side=9)[0])
    tar_records = records(**{f"{n}.png": file for n, file in enumerate(files)})
    message = rf"^{odd}\.png is 9x9, but the images before it are 8x8; .*--image-size"
    with pytest.raises(ValueError, match=message):
        list(batches(tar_records, size=None))
    assert sum(len(labels) for _, labels in batches(tar_records, size=8)) == 300


def test_jpeg_and_png_are_decoded_as_a_served_model_does(images_of):
    smooth = np.add.outer(np.arange(16), np.arange(16)).astype(np.uint8)[..., None] * 8
    image = np.concatenate([smooth, 255 - smooth, smooth // 2], axis=-1)
    buffer = io.BytesIO()
    Image.fromarray(image).convert("CMYK").save(buffer, "JPEG", quality=95)
    cmyk = buffer.getvalue()
    for encoded in (tf.io.encode_jpeg(image).numpy(), png(image), cmyk):
        served = tf.io.decode_image(encoded, channels=3, expand_animations=False)
        np.testing.assert_array_equal(pixels(encoded), served)
    np.testing.assert_allclose(pixels(cmyk), image, atol=24)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1", "I;16"])
def test_png_files_of_every_mode_keep_their_colours(images_of, mode):
    rgb = Image.fromarray(images_of(1, side=16)[0])
    if mode == "I;16":
        image = Image.fromarray(np.arange(256, dtype=np.uint16).reshape(16, 16) * 256)
        expected = np.repeat(np.asarray(image)[..., None] >> 8, 3, axis=-1)
    else:
        image = rgb.quantize(16) if mode == "P" else rgb.convert(mode)
        expected = np.asarray(image.convert("RGB"))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **({"transparency": 3} if mode == "P" else {}))
    np.testing.assert_array_equal(pixels(buffer.getvalue()), expected)


@pytest.mark.parametrize(
    "kind", ["JPEG", "PNG", "BMP", "GIF", "ICO", "PCX", "PPM", "SGI", "TGA", "TIFF", "WEBP"]
)
def test_a_file_has_the_same_pixels_eagerly_and_in_a_graph(images_of, kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    encoded = file_of(images_of(1)[0], kind, **options)
    in_graph = tf.function(lambda e: decode.decode(e, size=None, channels=3, resize="squash"))
    eager = pixels(encoded)
    np.testing.assert_array_equal(eager, in_graph(tf.constant(encoded)))
    np.testing.assert_array_equal(eager, pixels(tf.constant(encoded)))
    if kind not in ("JPEG", "GIF"):  # which change colours
        np.testing.assert_array_equal(eager, images_of(1)[0])


def test_the_reason_is_that_of_the_program_that_decodes(images_of):
    image = images_of(1)[0]
    for kind in ("BMP", "TIFF", "PPM", "GIF"):
        assert "truncated" in decode.reason(file_of(image, kind)[:-40], 3)
    floats = file_of(image[..., 0].astype("float32"), "TIFF")
    message = "pixels of 32 bits (mode F); expected 8 or 16 bits"
    assert decode.reason(floats, 3) == message
    assert decode.reason(b"text", 3) == "unknown format"
    files = {"good": png(image), "bad.tif": floats}
    with pytest.raises(ValueError, match=r"bad\.tif does not decode .*\(pixels of 32 bits"):
        list(batches(records(**files), size=None))


def test_an_image_of_another_size_is_named_in_every_format(images_of):
    files = {"a.bmp": file_of(images_of(1)[0], "BMP")}
    files["b.bmp"] = file_of(images_of(1, side=9)[0], "BMP")
    with pytest.raises(ValueError, match=r"^b\.bmp is 9x9, but the images before it are 8x8"):
        list(batches(records(**files), size=None))


def test_other_formats_are_decoded_within_batches(images_of):
    images = images_of(3)
    kinds = ("BMP", "PNG", "TIFF")
    files = {kind: file_of(image, kind) for image, kind in zip(images, kinds, strict=True)}
    ((decoded, labels),) = batches(records(**files), size=None)
    np.testing.assert_array_equal(decoded, images)
    assert labels.tolist() == [0, 1, 2]
