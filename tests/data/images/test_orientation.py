import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from kd_keras.data.images import orientation

ORDERS = {"II": "<", "MM": ">"}


def pixels(height=5, width=7):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def jpeg(exif=b""):
    file = io.BytesIO()
    Image.fromarray(pixels(16, 24)).save(file, "JPEG", exif=exif)
    return file.getvalue()


def tiff(*entries, order="II", offset=8, number=42, count=None):
    """EXIF data whose first directory has entries of (tag, type, count, 4 bytes of value)."""
    sign = ORDERS[order]
    count = len(entries) if count is None else count
    body = b"".join(struct.pack(f"{sign}HHI4s", *entry) for entry in entries)
    header = order.encode() + struct.pack(f"{sign}HI", number, offset)
    padding = bytes(max(0, offset - 8))
    return b"Exif\0\0" + header + padding + struct.pack(f"{sign}H", count) + body + bytes(4)


def entry(value, *, tag=0x0112, kind=3, count=1):
    """One little-endian entry: of its four bytes of value a SHORT (3) fills two, a LONG (4) all."""
    return tag, kind, count, struct.pack("<H2x" if kind == 3 else "<I", value)


# Compiled, since the loop over a file of fill bytes takes seconds eagerly.
read_compiled = tf.function(
    orientation.read_orientation, input_signature=[tf.TensorSpec((), tf.string)]
)


def read(encoded):
    value = read_compiled(tf.constant(encoded))
    assert value.dtype == tf.int32
    return int(value)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("value", range(1, 9))
def test_a_jpeg_of_every_orientation_and_byte_order_becomes_what_pillow_shows(value, order):
    exif = Image.Exif()
    exif.endian = ORDERS[order]
    exif[0x010F], exif[0x0112] = "a maker", value
    encoded = jpeg(exif.tobytes())
    assert read(encoded) == value
    image = tf.constant(pixels())
    with Image.open(io.BytesIO(encoded)) as file:
        stored = Image.fromarray(pixels())
        stored.getexif()[0x0112] = file.getexif()[0x0112]
    expected = np.asarray(ImageOps.exif_transpose(stored))
    np.testing.assert_array_equal(orientation.turn_upright(image, tf.constant(value)), expected)


def test_the_segment_is_found_behind_others_and_fill_bytes_and_a_long_value_counts():
    exif = tiff((0x0100, 3, 1, bytes(4)), entry(6, kind=4), order="II", offset=14)
    other = b"\xff\xe1" + struct.pack(">H", 2 + 12) + b"http://ns.ad"  # XMP is an APP1 as well
    segment = b"\xff\xff\xff\xe1" + struct.pack(">H", 2 + len(exif)) + exif
    assert read(jpeg()[:2] + other + segment + jpeg()[2:]) == 6


@pytest.mark.parametrize(
    "exif",
    [
        tiff(entry(0)),
        tiff(entry(9)),
        tiff(entry(6, count=2)),
        tiff(entry(6, tag=0x0113)),
        tiff(entry(6, kind=4), number=43),
        tiff(entry(6), offset=4),
        tiff(entry(6), order="II").replace(b"II", b"IM"),
        tiff(entry(6)).replace(b"\x08\0\0\0", b"\xff\xff\xff\xff", 1),  # the directory lies outside
        tiff(entry(6))[:20],
        tiff(),
        b"Exif\0\0",
        b"Exif\0\0II",
    ],
)
def test_exif_data_that_break_the_rules_mean_upright(exif):
    assert read(jpeg(exif)) == 1


def test_a_directory_that_claims_more_entries_than_there_are_is_read_as_far_as_it_goes():
    assert read(jpeg(tiff(entry(6), count=65535))) == 6


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"\xff",
        b"\xff\xd8",
        b"\xff\xd8\xff\xe1",
        b"\xff\xd8\xff\xe1\0\0" + bytes(30),
        b"\xff\xd8" + b"\xff" * 5000,
        b"\xff\xd8" + bytes(5000),
        jpeg()[:2] + b"\xff\xda\0\2" + b"\xff\xe1\0\x28" + tiff(entry(6)),  # after the pixels start
        jpeg(tiff(entry(6)))[:30],
        tiff(entry(6)),
    ],
)
def test_bytes_that_are_no_whole_jpeg_mean_upright(encoded):
    assert read(encoded) == 1


def test_other_formats_are_upright():
    assert read(tf.io.encode_png(pixels()).numpy()) == 1


def test_a_session_and_a_data_pipeline_turn_images_as_eager_code_does():
    files = [jpeg(tiff(entry(value))) for value in (1, 6)]

    def decode_upright(encoded):
        image = tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")
        return orientation.turn_upright(image, orientation.read_orientation(encoded))

    eager = [decode_upright(tf.constant(file)).numpy() for file in files]
    assert [image.shape for image in eager] == [(16, 24, 3), (24, 16, 3)]
    piped = list(tf.data.Dataset.from_tensor_slices(files).map(decode_upright).as_numpy_iterator())
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        encoded = tf.compat.v1.placeholder(tf.string, ())
        image = decode_upright(encoded)
        ran = [session.run(image, {encoded: file}) for file in files]
    for expected, *others in zip(eager, piped, ran, strict=True):
        for other in others:
            np.testing.assert_array_equal(other, expected)
