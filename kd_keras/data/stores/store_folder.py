"""The folder of a store: its header, with sizes and hashes of its files, and opening it.

It holds `<split>.images.npy`, `<split>.labels.npy` and `header.json`; if the images come from
files, `<split>.names.json` names them.
"""

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras import files
from kd_keras.data import augmentation, notes
from kd_keras.data.stores.store import Split, Store

FORMAT = 1
HEADER = "header.json"
_HASH = "sha256"  # of the rest of the header
NAMES = "{}.names.json"  # of a split; absent for datasets without files and in older stores


class StoreError(ValueError):
    """A store whose files differ from its header."""


def open_store(folder: Path, *, verify: bool = False) -> Store:
    """Opens a store; checks its header, sizes and times.

    Contents are compared with their hashes, at about 1 GB/s, with `verify` and where a time
    differs. The system sets the time of the last change of a file (ctime), so a program that writes
    into a file and puts its size and time of modification back is noticed too.

    Raises:
        StoreError: a file differs from the header.
    """
    header = _header(folder)
    retimed_files = [n for n, record in header["files"].items() if _is_retimed(folder / n, record)]
    for name in header["files"] if verify else retimed_files:
        if files.sha256(folder / name) != header["files"][name]["sha256"]:
            raise StoreError(f"{folder / name} is not what was written: its content hash differs.")
    if retimed_files:
        _remember_times(folder, header)
    shape = header["image_shape"]
    return Store(
        splits={
            name: _split(folder, name, (num_images, *shape), header["fingerprint"])
            for name, num_images in header["counts"].items()
        },
        class_names=tuple(header["class_names"]),
        image_shape=tuple(shape),
        augment=augmentation.from_json(header["augment"]),
        fingerprint=header["fingerprint"],
        state=header["state"],
        source_sha256=header.get("source_sha256", ""),
        notes=notes.from_json(header),
    )


def fingerprint(header: dict[str, Any]) -> str:
    """16 hex digits, a hash of the kind, counts, sizes, classes and file hashes in a header."""
    content = {
        key: header[key]
        for key in ("format", "kind", "counts", "image_shape", "class_names", "augment")
    }
    content["files"] = {name: record["sha256"] for name, record in header["files"].items()}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def write_header(folder: Path, header: dict[str, Any]) -> None:
    """Writes header.json, whole or not at all, with a hash of all that it says."""
    files.write_json(folder / HEADER, {**header, _HASH: _hash(header)})


def times(path: Path) -> dict[str, int]:
    """What changes when a file is written, replaced or copied: two times, and its inode."""
    stat = path.stat()
    return {"mtime_ns": stat.st_mtime_ns, "ctime_ns": stat.st_ctime_ns, "inode": stat.st_ino}


def _hash(header: dict[str, Any]) -> str:
    content = {key: value for key, value in header.items() if key != _HASH}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _header(folder: Path) -> dict[str, Any]:
    path = folder / HEADER
    try:
        header = files.read_json(path)
        is_valid = header["format"] == FORMAT and header["fingerprint"] == fingerprint(header)
        is_valid = is_valid and header[_HASH] == _hash(header)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{path} cannot be read ({error}).") from error
    if not is_valid:
        raise StoreError(f"{path} was changed, or written by another version.")
    return header


def _is_retimed(path: Path, record: dict[str, Any]) -> bool:
    try:
        stat = path.stat()
    except OSError as error:
        raise StoreError(f"{path} is missing.") from error
    if stat.st_size != record["bytes"]:
        raise StoreError(f"{path} has {stat.st_size} bytes; expected {record['bytes']}.")
    return any(value != record.get(name) for name, value in times(path).items())


def _remember_times(folder: Path, header: dict[str, Any]) -> None:
    for name, record in header["files"].items():
        record |= times(folder / name)
    with contextlib.suppress(OSError):  # a read-only store is hashed again next time
        write_header(folder, header)


def _split(folder: Path, name: str, shape: tuple[int, ...], fingerprint: str) -> Split:
    try:
        images = files.load_array(folder / f"{name}.images.npy", mmap_mode="r")
        labels = files.load_array(folder / f"{name}.labels.npy")
    except ValueError as error:
        raise StoreError(f"{folder / name}: the arrays cannot be read ({error}).") from error
    if images.shape != shape or labels.shape[:1] != shape[:1] or labels.ndim > 2:
        raise StoreError(f"{folder / name}: images are {images.shape}; expected {shape}.")
    names = folder / NAMES.format(name)
    ids = np.arange(len(labels), dtype=np.int64)
    return Split(images, labels, ids, fingerprint, names if names.is_file() else None)
