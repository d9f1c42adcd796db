"""The images to predict: files, folders, one from stdin, or arrays."""

import dataclasses
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras.data import user_files


@dataclasses.dataclass(frozen=True)
class Item:
    """One image to predict.

    Attributes:
        name: the path of its file; "-" for stdin; None for an array.
        source: path of a file, the bytes of a file, or pixels.
        in_folder: whether it was found in a folder, where files of other kinds are skipped.
        error: why there is nothing to read; "" if there is.
    """

    name: str | None
    source: Path | bytes | np.ndarray
    in_folder: bool = False
    error: str = ""


def items(images: Any) -> list[Item]:
    """The images in the order in which they are given; those in folders are sorted by path.

    Hidden files, and folders that are hidden or belong to a system, are left out.

    Args:
        images: a path, an encoded image (bytes), an array (H, W) or (H, W, C) or a batch of such
            (N, H, W, C), or a sequence of any of these.
    """
    if isinstance(images, (str, Path)):
        return _path_items(Path(images).expanduser())
    if isinstance(images, bytes):
        return [Item(None, images)]
    if isinstance(images, np.ndarray):
        batch = images if images.ndim == 4 else images[None]
        return [Item(None, image) for image in batch]
    if isinstance(images, Sequence) or (isinstance(images, Iterable) and not _is_array(images)):
        return [item for image in images for item in items(image)]
    return items(np.asarray(images))  # an image of Pillow, or a tensor


def _is_array(value: Any) -> bool:
    return hasattr(value, "__array__") or hasattr(value, "__array_interface__")


def _path_items(path: Path) -> list[Item]:
    if not path.is_dir():
        return [Item(_display_name(path), path)]
    try:
        listing = user_files.list_files(path)
    except OSError as error:
        return [Item(_display_name(path), path, error=error.strerror or str(error))]
    names = [file.name for file in listing.files if not _base(file.name).startswith(".")]
    if not names:
        return [Item(_display_name(path), path, error="the folder holds no files; expected images")]
    return [Item(_display_name(path / name), path / name, in_folder=True) for name in names]


def _display_name(path: Path) -> str:
    # File names need not be UTF-8; other bytes are shown as the escapes that shells use.
    return os.fsencode(path).decode(errors="backslashreplace")


def _base(name: str) -> str:
    return name.rpartition("/")[2]
