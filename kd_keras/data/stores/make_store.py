"""Makes the store of a dataset once, completely or not at all.

A `Source` describes a dataset, so that this file needs to know nothing else about it.
"""

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kd_keras import files
from kd_keras.data.progress import Progress, silent
from kd_keras.data.stores import store_folder, store_writer
from kd_keras.data.stores.store import Store

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """Describes a dataset that is not read yet.

    Attributes:
        name: what users type, for messages and for the name of the store.
        kind: the name without a path, for the fingerprint.
        settings: what distinguishes this store from others, such as path and image size; JSON.
        state: text that changes when the data at this path change.
        flip: whether a mirrored image still belongs to its class.
        val_fraction: share of train to validate on if there is no validation split.
        contents: function that reads the data, from a folder for temporary files and a progress.
        resize: how images that are not square are made square, see `resizing.resized`.
        flip_note: why `flip` is False, if users should read it; else "".
        digest: function that hashes everything that is read; None if `state` shows every change.
        labelled: whether its images have classes.
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
    labelled: bool = True

    @property
    def key(self) -> str:
        """8 hex digits, a hash of what decides the content."""
        facts = json.dumps([self.kind, self.settings, store_folder.FORMAT], sort_keys=True)
        return hashlib.sha256(facts.encode()).hexdigest()[:8]

    @property
    def stem(self) -> str:
        """The name in a form that file names allow: "folder:/a/pets" is folder_pets."""
        kind, _, location = self.name.partition(":")
        words = filter(None, [kind, Path(location).name])
        return re.sub(r"[^\w.]+", "_", "_".join(words))[:60]  # a file's name has 255 bytes


def ensure(
    source: Source, *, cache_dir: Path, progress: Progress | None = None, verify: bool = False
) -> Store:
    """Opens the source's store, or makes it; one process makes it while others wait.

    Args:
        source: what the store is made from.
        cache_dir: folder of all stores.
        progress: shows how many images are stored; None shows nothing.
        verify: whether to compare contents with their hashes, at about 1 GB/s.
    """
    ready_store, _ = _usable_store(source, cache_dir, verify)
    if ready_store is not None:
        return ready_store
    wait_message = "Another process is preparing data in %s; waiting for it."
    with files.locked(cache_dir, on_wait=lambda: _LOG.warning(wait_message, cache_dir)):
        ready_store, reason = _usable_store(source, cache_dir, verify)
        if reason:
            _LOG.warning("%s Preparing %s again.", reason, source.name)
        return ready_store or _make(source, cache_dir, progress or silent)


def _usable_store(source: Source, cache_dir: Path, verify: bool) -> tuple[Store | None, str]:
    """The store if it may be used; else None and the reason, "" if there is no store.

    Args:
        source: the data.
        cache_dir: folder of the stores.
        verify: whether to compare contents, not only sizes and times.
    """
    folder = next(cache_dir.glob(f"{source.stem}-*-{source.key}"), None)
    if folder is None:
        return None, ""
    try:
        old_store = store_folder.open_store(folder, verify=verify)
    except store_folder.StoreError as damage:
        return None, str(damage)
    is_changed = old_store.state != source.state
    if not is_changed and verify and source.digest is not None:
        is_changed = old_store.source_sha256 != source.digest()
    if is_changed:
        return None, f"The data behind {source.name} changed since they were prepared."
    return old_store, ""


def _make(source: Source, cache_dir: Path, progress: Progress) -> Store:
    work_folder = cache_dir / f".{source.stem}-{source.key}.partial"
    shutil.rmtree(work_folder, ignore_errors=True)  # left by a killed process
    target = work_folder / "store"
    target.mkdir(parents=True)
    source_facts = {"source": source.name, "kind": source.kind, "state": source.state}
    try:
        contents = source.contents(work_folder, progress)
        source_facts["source_sha256"] = source.digest() if source.digest else ""
        _check(source, contents)
        num_images = sum(split.num_images for split in contents.splits.values())
        with progress(f"Storing {source.name}", num_images) as advance:
            shape = store_writer.write(
                target, contents, source_facts, flip=source.flip, advance=advance
            )
        folder = cache_dir / f"{source.stem}-{shape[0]}x{shape[1]}-{source.key}"
        with files.atomic_write(folder) as new_path:  # who has mapped an older store can read on
            target.rename(new_path)
    except OSError as error:
        if error.errno not in files.NO_SPACE:
            raise
        failure = OSError(
            f"No room to prepare {source.name} in {cache_dir}: {error.strerror}. "
            "Free some space, or set KD_KERAS_CACHE to a folder on another disk."
        )
        failure.errno = error.errno
        raise failure from error
    finally:
        shutil.rmtree(work_folder, ignore_errors=True)
    return store_folder.open_store(folder)


def _check(source: Source, contents: store_writer.Contents) -> None:
    names = contents.class_names
    if source.labelled and (len(names) < 2 or len(set(names)) < len(names)):
        raise ValueError(
            f"{source.name} has the classes {names[:5]}; expected two or more different ones. "
            "Give a dataset of several classes, or rename those that have one name."
        )
    check_names(source.name, names)
    for name, split in contents.splits.items():
        if split.num_images == 0:
            raise ValueError(
                f"{source.name} has no {name} images; expected at least one. Add "
                "some, or give another dataset."
            )


def check_names(source: str, names: Sequence[str]) -> None:
    """Raises ValueError for a class name that one line of a text cannot hold.

    Files of class names, as exports have them, have one name in each line.

    Args:
        source: name of the dataset, for the message.
        names: one name for each class.
    """
    bad_names = [name for name in names if name.splitlines() != [name] or _CONTROL.search(name)]
    if bad_names:
        raise ValueError(
            f"{source} has the class {bad_names[0]!r}; expected a name without line breaks and "
            "control characters. Rename it."
        )
