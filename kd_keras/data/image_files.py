"""What Pillow says of an image file: whether it is one, its size, and its pixels."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps

# The formats of pixels that Pillow decodes by itself and knows by their first bytes.
_FORMATS = (
    *("AVIF", "BMP", "GIF", "ICO", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "PSD", "QOI"),
    *("SGI", "TIFF", "WEBP"),
)
_BY_ENDING = {".tga": "TGA"}  # a format without first bytes of its own
_TURNED = (5, 6, 7, 8)  # EXIF orientations whose width is the stored height
# Pillow gives a TIFF's size upright already. TensorFlow decodes PNG files, and reads no orientation
# of theirs, in training as in a served model.
_SIZE_AS_STORED = ("TIFF", "PNG")


class Look(NamedTuple):
    """What the head of a file says.

    Attributes:
        size: (height, width) of the image as it is to be seen; None if the file is no image.
        reason: why it is none; "" of an image and of a file of another kind.
    """

    size: tuple[int, int] | None
    reason: str = ""


def survey(paths: list[str]) -> list[Look]:
    """Looks at the heads of files, whatever their names end in.

    A file of another kind gets no reason where its ending is no image's: it is merely no image.
    """
    Image.init()  # once, before the threads
    formats = {*_FORMATS, *_BY_ENDING.values(), "MPO"}  # several JPEG images in a file
    known = {ending for ending, name in Image.registered_extensions().items() if name in formats}

    def look(path: str) -> Look:
        ending = Path(path).suffix.lower()
        seen = _look(path, _formats(ending))
        return Look(None) if seen == _UNKNOWN and ending not in known else seen

    with ThreadPoolExecutor() as threads:
        return list(threads.map(look, paths))


def pixels(encoded: bytes, channels: int) -> np.ndarray:
    """The first frame of an image in any format, upright.

    Args:
        encoded: the file's bytes.
        channels: 1 or 3. Transparency is left out: colours stay as they are stored.

    Returns:
        (H, W, channels) uint8; of 16 bits the upper eight.

    Raises:
        ValueError: the bytes are no image, or not a whole one.
    """
    try:
        with Image.open(io.BytesIO(encoded), formats=_formats(".tga")) as image:
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


def _eight_bits(image: Image.Image, sixteen: bool, mode: str) -> np.ndarray:
    if sixteen:
        image = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        raise ValueError(f"pixels of 32 bits (mode {image.mode}); expected 8 or 16 bits")
    return np.asarray(image.convert(mode))


_UNKNOWN = Look(None, "its content is no image that Pillow reads")


def _look(path: str, formats: tuple[str, ...]) -> Look:
    try:
        with Image.open(path, formats=formats) as image:
            width, height = image.size
            turned = image.format not in _SIZE_AS_STORED and _orientation(image) in _TURNED
            return Look((width, height) if turned else (height, width))
    except Image.UnidentifiedImageError:
        return _UNKNOWN
    except PermissionError:
        return Look(None, "it may not be read")
    except FileNotFoundError:
        return Look(None, "it links to a file that does not exist")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return Look(None, str(error))


def _formats(ending: str) -> tuple[str, ...]:
    Image.init()
    names = (*_FORMATS, _BY_ENDING[ending]) if ending in _BY_ENDING else _FORMATS
    return tuple(name for name in names if name in Image.OPEN)  # a build may lack some


def _orientation(image: Image.Image) -> int:
    return image.getexif().get(ExifTags.Base.Orientation, 1)
