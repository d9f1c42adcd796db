"""How a source becomes a store: once, under a temporary name, whole or not at all.

A source of data is described by a `Source`; everything that is special to it ends there.
"""

import errno
import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kd_keras import files
from kd_keras.data import store, store_writer
from kd_keras.data.progress import Progress, silent

_LOG = logging.getLogger(__name__)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Source:
    """Where data come from, before any of them is read.

    Attributes:
        name: as people asked for it, for messages and the store's name.
        kind: the source without its place, for the fingerprint.
        settings: what decides which store it is, such as path and image size; JSON.
        state: changes when the data behind the settings change.
        flip: whether a mirrored image still belongs to its class.
        val_fraction: the share of train to validate on where the source has no part for it.
        contents: reads it, given a folder for temporary files and a progress.
        resize: how images of another aspect are made square, see `resizing.resized`.
        flip_note: why `flip` is False, where that is to be said; else "".
        digest: a hash of all that is read; None where nothing can change behind `state`.
    """

    name: str
    kind: str
    settings: dict[str, Any]
    state: str
    flip: bool
    val_fraction: float
    contents: Callable[[Path, Progress], store_writer.Contents]
    resize: str = "crop"
    flip_note: str = ""
    digest: Callable[[], str] | None = None

    @property
    def key(self) -> str:
        """8 hex digits of what decides the content."""
        facts = json.dumps([self.kind, self.settings, store.FORMAT], sort_keys=True)
        return hashlib.sha256(facts.encode()).hexdigest()[:8]

    @property
    def stem(self) -> str:
        """The name as part of a file's: "folder:/a/pets" is folder_pets."""
        kind, _, place = self.name.partition(":")
        words = filter(None, [kind, Path(place).name])
        return re.sub(r"[^\w.]+", "_", "_".join(words))[:60]  # a file's name has 255 bytes


def ensure(
    source: Source, *, cache_dir: Path, progress: Progress | None = None, verify: bool = False
) -> store.Store:
    """The source's store, made if there is none fit for use; one process makes it, others wait."""
    found, _ = _usable(source, cache_dir, verify)
    if found is not None:
        return found
    told = "Another process is preparing data in %s; waiting for it."
    with files.locked(cache_dir, waiting=lambda: _LOG.warning(told, cache_dir)):
        found, reason = _usable(source, cache_dir, verify)
        if reason:
            _LOG.warning("%s Preparing %s again.", reason, source.name)
        return found or _made(source, cache_dir, progress or silent)


def _usable(source: Source, cache_dir: Path, verify: bool) -> tuple[store.Store | None, str]:
    """The store, or why the one that is there may not be used ("" if there is none)."""
    folder = next(cache_dir.glob(f"{source.stem}-*-{source.key}"), None)
    if folder is None:
        return None, ""
    try:
        found = store.opened(folder, verify=verify)
    except store.Damaged as damage:
        return None, str(damage)
    changed = found.state != source.state
    if not changed and verify and source.digest is not None:
        changed = found.source_sha256 != source.digest()
    if changed:
        return None, f"The data behind {source.name} changed since they were prepared."
    return found, ""


def _made(source: Source, cache_dir: Path, progress: Progress) -> store.Store:
    partial = cache_dir / f".{source.stem}-{source.key}.partial"
    shutil.rmtree(partial, ignore_errors=True)  # what a killed process left
    files = partial / "store"
    files.mkdir(parents=True)
    about = {"source": source.name, "kind": source.kind, "state": source.state}
    try:
        contents = source.contents(partial, progress)
        about["source_sha256"] = source.digest() if source.digest else ""
        _check(source, contents)
        total = sum(part.count for part in contents.parts.values())
        with progress(f"Storing {source.name}", total) as advance:
            shape = store_writer.write(files, contents, about, flip=source.flip, advance=advance)
        folder = cache_dir / f"{source.stem}-{shape[0]}x{shape[1]}-{source.key}"
        _put_in_place(files, folder)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise OSError(
            error.errno,
            f"No room to prepare {source.name} in {cache_dir} ({error.strerror}). "
            "Free some space, or set KD_KERAS_CACHE to a folder on another disk.",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return store.opened(folder)


def _check(source: Source, contents: store_writer.Contents) -> None:
    names = contents.class_names
    if len(names) < 2 or len(set(names)) < len(names):
        raise ValueError(
            f"{source.name} has the classes {names[:5]}; expected two or more different ones."
        )
    for name, part in contents.parts.items():
        if part.count == 0:
            raise ValueError(f"{source.name} has no {name} images; expected at least one.")


def _put_in_place(new: Path, folder: Path) -> None:
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():  # whoever has it mapped keeps it until done
        folder.rename(old)
    new.rename(folder)
    handle = os.open(folder.parent, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)
    shutil.rmtree(old, ignore_errors=True)
