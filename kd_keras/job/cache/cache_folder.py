"""Lists the cache folder and removes stale entries."""

import dataclasses
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kd_keras import data, files
from kd_keras.data.stores import store_folder
from kd_keras.results.terminal import paths
from kd_keras.results.terminal.screen import Screen
from kd_keras.teacher_cache import file_format, part_files

TEACHERS, SCORES, DOWNLOADS = "teachers", "scores", "downloads"
USABLE, STALE, UNFINISHED = "usable", "stale", "unfinished"
_DAY = 86_400  # seconds
_SOON = 1 / 24  # days; what is unfinished and changed since may be in the making
# Left by a process that was killed: of stores, of files and folders that `files` writes.
_LEFT_OVER = re.compile(r"\..+\.(partial|old)|\.(partial|old)\..+|.+\.part")


@dataclasses.dataclass(frozen=True)
class Entry:
    """A file or folder in the cache folder.

    Attributes:
        path: its path.
        kind: "store" (decoded images), "teacher cache", "scores", "download" or "left over".
        about: what it belongs to, in words.
        state: "usable", "stale" (nothing will read it) or "unfinished".
        reason: why it is stale or unfinished; "" if usable.
        bytes: size of its files.
        days: time since its last change.
        in_use: whether a process has it locked or open.
    """

    path: Path
    kind: str
    about: str
    state: str
    reason: str
    bytes: int
    days: float
    in_use: bool


def entries(folder: Path | None = None) -> list[Entry]:
    """The entries of a cache folder; links and files of other programs are left out.

    Args:
        folder: the cache folder; None is $KD_KERAS_CACHE or ~/.cache/kd_keras.
    """
    folder = (folder or data.cache_folder()).resolve()
    if not folder.is_dir():
        return []
    open_files = _open_files(folder)
    is_locked = files.is_locked(folder)  # a store is being made
    return [
        _entry(
            *facts,
            open_files=open_files,
            is_locked=is_locked and facts[1] in ("left over", "download"),
        )
        for facts in _described_paths(folder)
    ]


def removable(entries: Sequence[Entry], *, older_than: float | None = None) -> list[Entry]:
    """The entries that `prune` may remove: stale, unfinished and old ones.

    Args:
        entries: from `entries`.
        older_than: days since the last change from which usable entries go too; None: never.
    """
    return [
        entry
        for entry in entries
        if not entry.in_use
        and (entry.state != USABLE or (older_than is not None and entry.days > older_than))
    ]


def prune(entries_to_remove: Sequence[Entry], folder: Path | None = None) -> list[Entry]:
    """Removes entries of the cache folder and returns those that are gone.

    An entry that another process has locked meanwhile stays.

    Args:
        entries_to_remove: from `removable`.
        folder: the cache folder; None: that of `entries`.

    Raises:
        ValueError: an entry lies outside the cache folder.
        OSError: an entry cannot be removed.
    """
    folder = (folder or data.cache_folder()).resolve()
    outside_paths = [
        e.path for e in entries_to_remove if e.path.is_symlink() or not _is_inside(e.path, folder)
    ]
    if outside_paths:
        raise ValueError(
            f"{outside_paths[0]} is a link, or not in the cache folder {folder}; expected entries "
            "of the cache folder. Nothing was removed."
        )
    with files.lock_at_once(folder) as idle:
        if not idle:
            raise ValueError(
                f"another process prepares data in {folder}; expected none while entries are "
                "removed. Wait until it is done, then try again."
            )
        return [entry for entry in entries_to_remove if _remove(entry.path)]


def show(entries: Sequence[Entry], screen: Screen, *, title: str) -> None:
    """Shows entries as a table, within 80 columns.

    Args:
        entries: entries of the cache folder.
        screen: where lines are shown.
        title: title of the table.
    """
    rows = [
        [
            f"{entry.kind}: {entry.about}",
            "in use" if entry.in_use else entry.state,
            f"{entry.days:,.0f}",
            paths.megabytes(entry.bytes),
        ]
        for entry in entries
    ]
    screen.table(title, ["what", "state", "days", "size"], rows)
    for entry in entries:
        screen.detail(f"{entry.path}: {entry.state}{entry.reason and f', {entry.reason}'}")
    reasons = dict.fromkeys(f"{e.state}: {e.reason}" for e in entries if e.reason)
    for reason in reasons:
        screen.result(reason)


def as_json(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """The entries as mappings."""
    return [dataclasses.asdict(entry) for entry in entries]


def _described_paths(folder: Path) -> Iterator[tuple[Path, str, str, str, str]]:
    """Path, kind, what it belongs to, state and reason of each entry."""
    stores = {
        path: _header(path)
        for path in _paths_inside(folder)
        if (path / store_folder.HEADER).is_file()
    }
    fingerprints = {
        str(header["fingerprint"]) for header in stores.values() if "fingerprint" in header
    }
    for path, header in stores.items():
        yield path, "store", *_describe_store(header)
    for path in _paths_inside(folder / TEACHERS):
        yield path, "teacher cache", *_describe_teacher(path, fingerprints)
    for path in _paths_inside(folder / SCORES):
        yield path, "scores", *_describe_scores(path, fingerprints)
    for path in _paths_inside(folder / DOWNLOADS):
        yield path, "download", path.name, USABLE, ""
    for parent in (folder, folder / TEACHERS, folder / SCORES, folder / DOWNLOADS):
        for path in _paths_inside(parent, left_over=True):
            yield path, "left over", path.name, UNFINISHED, "of a process that ended"


def _is_inside(path: Path, folder: Path) -> bool:
    return path.resolve() != folder and path.resolve().is_relative_to(folder)


def _remove(path: Path) -> bool:
    """Removes a file or folder; False if a process has locked it."""
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return True
    with files.lock_at_once(path) as idle:
        if idle:
            shutil.rmtree(path)
        return idle


def _entry(
    path: Path,
    kind: str,
    text: str,
    state: str,
    reason: str,
    *,
    open_files: set[str],
    is_locked: bool,
) -> Entry:
    """The entry of a file or folder, with its size, age and use.

    Args:
        path: the file or folder.
        kind, state, reason: see `Entry`.
        text: what it belongs to, in words.
        open_files: files that processes have open.
        is_locked: whether a process has it locked.
    """
    members = (
        [path] if path.is_file() else [member for member in path.rglob("*") if member.is_file()]
    )
    stats = [member.stat() for member in members] or [path.stat()]
    days = (time.time() - max(stat.st_mtime for stat in stats)) / _DAY
    # Who makes a teacher cache holds its lock only while a part is written.
    in_use = is_locked or (state == UNFINISHED and days < _SOON)
    in_use = in_use or any(name == str(path) or name.startswith(f"{path}/") for name in open_files)
    in_use = in_use or (path.is_dir() and files.is_locked(path))
    return Entry(path, kind, text, state, reason, files.size(path), max(0.0, days), in_use)


def _paths_inside(folder: Path, *, left_over: bool = False) -> Iterator[Path]:
    """The paths in a folder, without links: either leftovers of killed processes, or all others."""
    if folder.is_dir() and not folder.is_symlink():
        for path in sorted(folder.iterdir()):
            if not path.is_symlink() and bool(_LEFT_OVER.fullmatch(path.name)) == left_over:
                yield path


def _header(folder: Path) -> dict[str, Any]:
    try:
        header = json.loads((folder / store_folder.HEADER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return header if isinstance(header, dict) and "source" in header else {}


def _describe_store(header: dict[str, Any]) -> tuple[str, str, str]:
    if not header:
        return "unknown", STALE, "its header cannot be read"
    kind, _, path = str(header["source"]).partition(":")
    images = sum(header.get("counts", {}).values())
    shape = "x".join(map(str, header.get("image_shape", ())))
    text = (
        f"{paths.short_path(path) if kind == 'folder' else header['source']}, {images:,} of {shape}"
    )
    if kind == "folder" and not Path(path).exists():
        return text, STALE, "its images are gone"
    return text, USABLE, ""


def _describe_teacher(folder: Path, fingerprints: set[str]) -> tuple[str, str, str]:
    try:
        header = file_format.read_header(folder)
        num_finished = sum(
            part_files.is_finished(folder, *task) for task in part_files.tasks(header)
        )
    except (OSError, ValueError):
        return folder.name, STALE, "its header cannot be read"
    teacher = header.about.get("teacher") or header.teacher[:12]
    total = sum(1 for _ in part_files.tasks(header))
    text = f"{teacher}, {header.views} views of {header.examples:,} images"
    if header.data.partition("-")[0] not in fingerprints:
        return text, STALE, "the store of its images is gone"
    if num_finished < total:
        progress = f"{num_finished} of {total} parts"
        return text, UNFINISHED, f"{progress}; `kdk cache` or the run continues it"
    return text, USABLE, ""


def _describe_scores(path: Path, fingerprints: set[str]) -> tuple[str, str, str]:
    teacher, _, fingerprint = path.stem.partition("-")
    text = f"of teacher {teacher[:12]}"
    if fingerprint.partition("-")[0] not in fingerprints:
        return text, STALE, "the store of its images is gone"
    return text, USABLE, ""


def _open_files(folder: Path) -> set[str]:
    """Files in the folder that processes of this user have mapped or open (Linux)."""
    names = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            lines = (process / "maps").read_text(errors="replace").splitlines()
            names |= {line.split(maxsplit=5)[5] for line in lines if str(folder) in line}
            names |= {os.readlink(handle) for handle in (process / "fd").iterdir()}
        except (OSError, IndexError):
            continue  # of another user, or ended
    return {name for name in names if name.startswith(str(folder))}
