"""Single files give the very pixels that a store of the same folder holds."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kd_keras import data
from kd_keras.data.images import image_files, image_reader
from kd_keras.data.images.image_reader import ImageReader


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("resize", ["crop", "pad"])
def test_a_file_gives_the_pixels_of_the_store(mixed_folder, tmp_path, resize):
    dataset = data.load(f"folder:{mixed_folder}", image_size=8, resize=resize, cache_dir=tmp_path)
    reader = ImageReader((8, 8, 3), resize=resize)
    names = [*dataset.train.names(), *dataset.validation.names()]
    assert len(set(names)) == 24
    for split in (dataset.train, dataset.validation):
        for row, name in enumerate(split.names()):
            expected = split.images_at(np.array([row]))[0]
            np.testing.assert_array_equal(reader.file(Path(name)), expected, err_msg=name)
            content = Path(name).read_bytes()
            np.testing.assert_array_equal(reader.decode(content), expected, err_msg=name)


def test_an_array_is_resized_as_a_file_of_its_pixels(images_of):
    image = images_of(1, side=20)[0]
    reader = ImageReader((8, 8, 3), resize="crop")
    from_file = reader.decode(encoded(Image.fromarray(image), "PNG"))
    np.testing.assert_array_equal(reader.array(image), from_file)
    grey = reader.array(image[..., 0])
    assert (grey == grey[..., :1]).all()


def test_arrays_that_are_no_pixels_are_refused(images_of):
    reader = ImageReader((8, 8, 1), resize="crop")
    with pytest.raises(ValueError, match=r"float64 of shape \(8, 8\); expected uint8 pixels"):
        reader.array(np.zeros((8, 8)))
    with pytest.raises(ValueError, match="has 3 channels, and the model takes 1"):
        reader.array(images_of(1)[0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a cat", "not an image of a known format"),
        (encoded(Image.effect_noise((64, 64), 90), "JPEG")[:1500], "JPEG|jpeg"),
        (encoded(Image.effect_noise((64, 64), 90), "PNG")[:300], "PNG|png"),
        (encoded(Image.effect_noise((64, 64), 90).convert("RGB"), "BMP")[:300], "truncated"),
    ],
    ids=["text", "half a JPEG", "half a PNG", "half a BMP"],
)
def test_what_cannot_be_read_says_why(content, message):
    with pytest.raises(ValueError, match=message):
        ImageReader((8, 8, 3), resize="crop").decode(content)


def test_a_text_file_is_no_image_unless_it_is_named_like_one(tmp_path):
    reader = ImageReader((8, 8, 3), resize="crop")
    for name, kind in (("notes.txt", image_reader.NotAnImageError), ("notes.jpg", ValueError)):
        (tmp_path / name).write_text("a cat")
        with pytest.raises(ValueError, match="not an image of a known format") as raised:
            reader.file(tmp_path / name)
        assert type(raised.value) is kind


def test_a_huge_image_is_refused_before_it_is_decoded_and_read_if_it_is_allowed():
    huge = encoded(Image.new("1", (20_000, 10_000)), "PNG")
    with pytest.raises(ValueError, match=r"200,000,000 pixels; at most 178,956,970 are read"):
        ImageReader((8, 8, 3), resize="crop").decode(huge)
    small = encoded(Image.new("L", (30, 10)), "PNG")
    with pytest.raises(ValueError, match="has 300 pixels; at most 100"):
        ImageReader((8, 8, 3), resize="crop", max_pixels=100).decode(small)
    before = Image.MAX_IMAGE_PIXELS
    with image_files.pixel_limit(250_000_000):
        header = image_files.read_header(io.BytesIO(huge), ".png")
    assert header.size == (10_000, 20_000)
    assert before == Image.MAX_IMAGE_PIXELS


def test_threads_that_turn_images_do_not_wait_for_each_other(mixed_folder):
    content = (mixed_folder / "cat" / "03-turned.jpg").read_bytes()
    reader = ImageReader((8, 8, 3), resize="crop")
    expected = reader.decode(content)
    with ThreadPoolExecutor(16) as threads:
        futures = [threads.submit(reader.decode, content) for _ in range(64)]
        for future in futures:
            np.testing.assert_array_equal(future.result(timeout=120), expected)
