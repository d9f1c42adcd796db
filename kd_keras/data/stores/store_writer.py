"""Writes the files of a store; each is hashed while it is written."""

import errno
import hashlib
import io
import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras import files
from kd_keras.data import notes
from kd_keras.data.augmentation import light
from kd_keras.data.progress import Advance
from kd_keras.data.stores import store_folder

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class SplitContents:
    """One split to be written: how many examples, and batches of (images, labels) in order.

    Labels are (b,) int, or (b, C) of 0 and 1 where an image may have several classes.

    `names` are those of the examples' files, in the same order; None if they have none.
    """

    num_images: int
    batches: Iterator[tuple[np.ndarray, np.ndarray]]
    names: Sequence[str] | None = None


@dataclass(frozen=True)
class Contents:
    """The contents of a dataset: "train" and, if it has them, "validation" and "test".

    `notes` say what was left out or changed, one sentence each.
    """

    class_names: list[str]
    splits: dict[str, SplitContents]
    notes: tuple[str, ...] = ()


def write(
    folder: Path, contents: Contents, source_facts: dict[str, Any], *, flip: bool, advance: Advance
) -> Shape:
    """Writes the store's files and, last, its header.

    Args:
        folder: exists and is empty.
        contents: the data; its batches are read once.
        source_facts: "source", "kind", "state" and "source_sha256" for the header.
        flip: whether training may mirror the images.
        advance: function that is called with the number of images of each batch.

    Returns:
        (H, W, C) of the images.

    Raises:
        ValueError: the images of the parts differ in size.
    """
    shapes: dict[str, Shape] = {}
    file_facts: dict[str, dict[str, Any]] = {}
    for name, split in contents.splits.items():
        images, labels = folder / f"{name}.images.npy", folder / f"{name}.labels.npy"
        shapes[name], values, file_facts[images.name] = _write_images(images, split, advance)
        file_facts[labels.name] = _write_array(labels, values)
        if split.names is not None:  # no part of the content, so not in its fingerprint
            files.write_json(folder / store_folder.NAMES.format(name), list(split.names))
    if len(set(shapes.values())) > 1:
        raise ValueError(f"The images differ in size: {shapes}; expected one. Give --image-size.")
    shape = shapes["train"]
    header = {
        **source_facts,
        "format": store_folder.FORMAT,
        "counts": {name: split.num_images for name, split in contents.splits.items()},
        "image_shape": list(shape),
        "class_names": contents.class_names,
        **notes.to_json(contents.notes),
        # Published recipes pad by an eighth of the side: 4 pixels of 32, 8 of 64.
        "augment": light(min(shape[:2]) // 8, flip).to_json(),
        "files": file_facts,
    }
    store_folder.write_header(folder, {**header, "fingerprint": store_folder.fingerprint(header)})
    return shape


def _write_images(
    path: Path, split: SplitContents, advance: Advance
) -> tuple[Shape, np.ndarray, dict[str, Any]]:
    """Returns the shape of the images, all labels, and the record of the file.

    Args:
        path: the file to write.
        split: batches of images and labels.
        advance: called with the number of images of each batch.
    """
    label_batches: list[np.ndarray] = []
    hasher = hashlib.sha256()
    # Written, not assigned through a memory map: a full disk is an OSError, not a bus error.
    with path.open("wb") as file:
        for images, labels in split.batches:
            pieces = [np.ascontiguousarray(images).data]
            if not label_batches:
                shape = images.shape[1:]
                _require_space(path, split.num_images * math.prod(shape))
                pieces.insert(0, memoryview(_npy_header((split.num_images, *shape))))
            for piece in pieces:
                hasher.update(piece)
                file.write(piece)
            label_batches.append(labels)
            advance(len(labels))
        files.sync(file)
    all_labels = np.concatenate(label_batches).astype(np.int32)
    if len(all_labels) != split.num_images:
        raise ValueError(
            f"Got {len(all_labels)} images for {path.name}; expected {split.num_images}."
        )
    return shape, all_labels, _file_record(path, hasher.hexdigest())


def _require_space(path: Path, size: int) -> None:
    """Raises OSError at the first image if the disk has no room for all of them."""
    free_bytes = shutil.disk_usage(path.parent).free
    if size > free_bytes:
        raise OSError(
            errno.ENOSPC,
            f"the decoded images take {size / 1e6:,.1f} MB, and {free_bytes / 1e6:,.1f} MB are "
            "free",
        )


def _write_array(path: Path, array: np.ndarray) -> dict[str, Any]:
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=False)
        files.sync(file)
    return _file_record(path, files.sha256(path))


def _npy_header(shape: tuple[int, ...]) -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    return header.getvalue()


def _file_record(path: Path, sha256: str) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": sha256, **store_folder.times(path)}
