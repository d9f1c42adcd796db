import io
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kd_keras.data.images import decode, image_files

ROOT = Path(__file__).parents[3]
FORMATS = ["BMP", "GIF", "ICO", "JPEG", "JPEG2000", "MPO", "PCX", "PNG", "PPM", "SGI", "TIFF"]


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def image(images_of):
    return Image.fromarray(images_of(1, side=16)[0])


@pytest.mark.parametrize("kind", [*FORMATS, "WEBP", "TGA"])
def test_images_are_recognised_by_content(tmp_path, image, kind):
    path = tmp_path / ("a.tga" if kind == "TGA" else "a")
    path.write_bytes(encoded(image.crop((0, 0, 16, 12)).resize((16, 12)), kind))
    assert image_files.read_headers([str(path)])[0].size in ((12, 16), (16, 16))  # icons are square


def test_the_documents_list_the_formats():
    formats = {*image_files._FORMATS, *image_files._BY_ENDING.values()}
    for place in ("docs/how-to/data.md", "kd_keras/cli/predict.py"):
        text = " ".join((ROOT / place).read_text().split())
        listed = re.search(r"(AVIF, .*?) and (\w+)", text)
        names = [*listed[1].split(", "), listed[2]]
        assert {name.upper().replace(" ", "") for name in names} == formats, place
    for place in ("README.md", "docs/tutorials/own-images.md"):
        assert f"[{len(formats)} formats](" in (ROOT / place).read_text(), place


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("notes.txt", b"a cat", ""),
        ("film.mp4", b"\0\0\0\x18ftypmp42", ""),
        ("report.pdf", b"%PDF-1.7", ""),
        ("vector.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", ""),
        ("empty.JPG", b"", "its content is not an image of a known format"),
        ("text.jpg", b"a cat", "its content is not an image of a known format"),
    ],
)
def test_what_is_no_image_has_a_reason_only_where_it_is_named_like_one(
    tmp_path, name, content, reason
):
    (tmp_path / name).write_bytes(content)
    assert image_files.read_headers([str(tmp_path / name)]) == [
        image_files.ImageHeader(None, reason)
    ]


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "WEBP"])
def test_size_and_pixels_are_upright(tmp_path, kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(Image.new("RGB", (16, 8)), kind, exif=exif)
    (tmp_path / "a").write_bytes(content)
    assert image_files.read_headers([str(tmp_path / "a")])[0].size == (16, 8)
    assert image_files.pixels(content, 3).shape == (16, 8, 3)


def test_of_an_animation_the_first_frame_counts():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "lime")]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (image_files.pixels(content, 3) == [255, 0, 0]).all()


def test_palettes_grey_and_sixteen_bits_become_the_channels_asked_for(image):
    palette = image.quantize(16)
    np.testing.assert_array_equal(
        image_files.pixels(encoded(palette, "BMP"), 3), np.asarray(palette.convert("RGB"))
    )
    grey = image.convert("L")
    np.testing.assert_array_equal(
        image_files.pixels(encoded(grey, "TIFF"), 3), np.repeat(np.asarray(grey)[..., None], 3, -1)
    )
    assert image_files.pixels(encoded(grey, "TIFF"), 1).shape == (16, 16, 1)
    deep = np.arange(256, dtype=np.uint16).reshape(16, 16) * 256 + 7
    for kind in ("TIFF", "PPM"):
        pixels = image_files.pixels(encoded(Image.fromarray(deep), kind), 1)
        np.testing.assert_array_equal(pixels[..., 0], deep >> 8)


def test_what_cannot_be_pixels_says_why(image):
    with pytest.raises(ValueError, match="unknown format"):
        image_files.pixels(b"a cat", 3)
    with pytest.raises(ValueError, match="truncated"):
        image_files.pixels(encoded(image, "BMP")[:-40], 3)
    with pytest.raises(ValueError, match=r"32 bits \(mode F\); expected 8 or 16 bits"):
        image_files.pixels(encoded(image.convert("F"), "TIFF"), 3)


def huge_png():
    """A PNG file of 60 kB whose header says 400 million pixels."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    content = file.getvalue()
    sides = struct.pack(">II", 20_000, 20_000)
    crc = struct.pack(">I", zlib.crc32(b"IHDR" + sides + content[24:29]))
    return content[:16] + sides + content[24:29] + crc + content[33:] + bytes(60_000)


def test_the_number_of_pixels_is_limited_before_they_are_decoded(tmp_path):
    path = tmp_path / "small.png"
    Image.new("RGB", (8, 8)).save(path)
    with image_files.pixel_limit(63):
        header = image_files.read_headers([str(path)])[0]
        assert header == (None, "it has 64 pixels; at most 63 are read", True)
        with pytest.raises(ValueError, match="it has 64 pixels; at most 63 are read"):
            image_files.pixels(path.read_bytes(), 3)
    assert image_files.read_headers([str(path)])[0].size == (8, 8)
    message = "it has 400,000,000 pixels; at most 178,956,970 are read"
    assert decode.reason(huge_png(), 3).startswith(message)
