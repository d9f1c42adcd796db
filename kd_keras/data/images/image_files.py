"""Image files read by Pillow: whether a file is an image, its size, and its pixels."""

import contextlib
import functools
import io
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps

# Raster formats that Pillow decodes without other programs and recognises by their first bytes.
_FORMATS = (
    *("AVIF", "BMP", "GIF", "ICO", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "PSD", "QOI"),
    *("SGI", "TIFF", "WEBP"),
)
_BY_ENDING = {".tga": "TGA"}  # a format that its first bytes do not identify
#: Pixels of the largest image that Pillow opens, as protection against files made to fill memory.
MAX_PIXELS = 2 * 89_478_485
_max_pixels = MAX_PIXELS  # `pixel_limit` changes it
_TURNED = (5, 6, 7, 8)  # EXIF orientations that swap height and width
# Pillow gives the size of a TIFF file already turned. PNG files are decoded by TensorFlow, which
# ignores their orientation, in training as in a served model.
_SIZE_AS_STORED = ("TIFF", "PNG")


class ImageHeader(NamedTuple):
    """What the first bytes of a file say.

    Attributes:
        size: (height, width) of the image turned upright; None if the file is not an image.
        reason: why the image cannot be read; "" for an image, and for a file of another kind.
        too_large: whether the reason is that it has more pixels than Pillow opens.
    """

    size: tuple[int, int] | None
    reason: str = ""
    too_large: bool = False


def read_headers(paths: list[str]) -> list[ImageHeader]:
    """Reads the headers of files; files of other kinds get a reason only with an image's ending."""
    _image_endings()  # once, before the threads
    with ThreadPoolExecutor() as threads:
        return list(threads.map(lambda path: read_header(path, Path(path).suffix), paths))


def read_header(file: str | IO[bytes], ending: str) -> ImageHeader:
    """Reads the header of one file, as `read_headers` does.

    Args:
        file: its path, or the file opened at its start.
        ending: the ending of its name, such as ".jpg"; "" if it has none.
    """
    ending = ending.lower()
    if isinstance(file, str) and os.path.exists(file) and not os.path.isfile(file):
        # Opening a named pipe would wait for ever.
        return NO_IMAGE if ending not in _image_endings() else ImageHeader(None, NOT_REGULAR)
    header = _read_header(file, _formats(ending))
    return NO_IMAGE if header == _UNKNOWN and ending not in _image_endings() else header


def pixels(image_bytes: bytes, channels: int) -> np.ndarray:
    """Decodes the first frame of an image in any format, turned upright.

    Args:
        image_bytes: the file's bytes.
        channels: 1 or 3. Transparency is ignored: colours stay as stored.

    Returns:
        (H, W, channels) uint8; the upper 8 bits of images of 16 bits.

    Raises:
        ValueError: the bytes are not an image, or not a complete one.
    """
    try:
        with Image.open(io.BytesIO(image_bytes), formats=_formats(".tga")) as image:
            if image.width * image.height > _max_pixels:
                raise ValueError(_too_large(image.width * image.height).reason)
            image.load()
            # Pillow opens PPM files of 16 bits in mode I.
            sixteen = image.mode.startswith("I;16") or (image.mode, image.format) == ("I", "PPM")
            upright = ImageOps.exif_transpose(image)
    except Image.UnidentifiedImageError as error:
        raise ValueError("unknown format") from error
    except (OSError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ValueError(str(error)) from error
    array = _eight_bits(upright, sixteen, "L" if channels == 1 else "RGB")
    return array.reshape(*array.shape[:2], channels)


@contextlib.contextmanager
def pixel_limit(max_pixels: int) -> Iterator[None]:
    """In the block, images of up to `max_pixels` are read, in every thread."""
    global _max_pixels
    old_limits = _max_pixels, Image.MAX_IMAGE_PIXELS
    _max_pixels = max_pixels
    if max_pixels > MAX_PIXELS:  # Pillow has a limit of its own
        Image.MAX_IMAGE_PIXELS = max_pixels
    try:
        yield
    finally:
        _max_pixels, Image.MAX_IMAGE_PIXELS = old_limits


def may_be_too_large(image_bytes: bytes) -> bool:
    """Whether a file of this length can hold more pixels than the limit.

    Deflate, the densest compression of these formats, writes at most 1,032 bytes for one, and a
    byte holds at most 8 pixels. So the headers of small files need not be read.
    """
    return len(image_bytes) * 1032 * 8 > _max_pixels


def _eight_bits(image: Image.Image, sixteen: bool, mode: str) -> np.ndarray:
    """(H, W) or (H, W, 3) uint8; raises ValueError for pixels of 32 bits.

    Args:
        image: the decoded image.
        sixteen: whether its pixels have 16 bits.
        mode: L or RGB.
    """
    if sixteen:
        image = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        raise ValueError(f"pixels of 32 bits (mode {image.mode}); expected 8 or 16 bits")
    return np.asarray(image.convert(mode))


NO_IMAGE = ImageHeader(None)
NOT_REGULAR = "it is not a regular file, but a pipe, a socket, a device or a folder"
_UNKNOWN = ImageHeader(None, "its content is not an image of a known format")


def _read_header(file: str | IO[bytes], formats: tuple[str, ...]) -> ImageHeader:
    try:
        with Image.open(file, formats=formats) as image:
            width, height = image.size
            if width * height > _max_pixels:
                return _too_large(width * height)
            is_turned = image.format not in _SIZE_AS_STORED and _orientation(image) in _TURNED
            return ImageHeader((width, height) if is_turned else (height, width))
    except Image.UnidentifiedImageError:
        return _UNKNOWN
    except PermissionError:
        return ImageHeader(None, "it may not be read")
    except FileNotFoundError:
        return ImageHeader(None, "it links to a file that does not exist")
    except Image.DecompressionBombError as error:
        num_pixels = re.search(r"\d+", str(error))
        return _too_large(int(num_pixels[0]) if num_pixels else None)
    except (OSError, SyntaxError, ValueError) as error:
        return ImageHeader(None, str(error))


def _too_large(num_pixels: int | None) -> ImageHeader:
    size = "too many" if num_pixels is None else f"{num_pixels:,}"
    return ImageHeader(None, f"it has {size} pixels; at most {_max_pixels:,} are read", True)


@functools.cache
def _image_endings() -> frozenset[str]:
    Image.init()
    formats = {*_FORMATS, *_BY_ENDING.values(), "MPO"}  # a file of several JPEG images
    extensions = Image.registered_extensions()
    return frozenset(ending for ending, name in extensions.items() if name in formats)


def _formats(ending: str) -> tuple[str, ...]:
    Image.init()
    names = (*_FORMATS, _BY_ENDING[ending]) if ending in _BY_ENDING else _FORMATS
    return tuple(name for name in names if name in Image.OPEN)  # a build may lack some


def _orientation(image: Image.Image) -> int:
    orientation = image.getexif().get(ExifTags.Base.Orientation)
    return orientation if isinstance(orientation, int) else 1
