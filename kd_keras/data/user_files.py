"""The files of a user's folder: their names, sizes and times, and a hash of their contents."""

import functools
import hashlib
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kd_keras import files

# Folders that operating systems, archives and network drives create beside a user's own.
_SYSTEM_FOLDERS = frozenset(
    {
        *("__macosx", "__pycache__", "@eadir", "lost+found"),
        *("$recycle.bin", "system volume information"),
    }
)


class File(NamedTuple):
    """A file in a folder: its name relative to the folder, size in bytes, time of change."""

    name: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Listing:
    """All files and folders in a folder; names are relative to it and sorted.

    Attributes:
        files: the files, also behind symbolic links; a broken link, and what is not a regular file
            (a named pipe, a socket, a device), has size -1.
        folders: the folders, without hidden ones and their contents, and without links to a folder
            that the link is in, at any depth.
        hidden: the hidden folders: those of systems, and names that start with a dot.
    """

    files: tuple[File, ...]
    folders: tuple[str, ...]
    hidden: tuple[str, ...]

    @property
    def state(self) -> str:
        """16 hex digits that change with any name, and with the size or time of any file."""
        lines = [f"{file.name}\0{file.size}\0{file.mtime_ns}" for file in self.files]
        text = "\n".join([*lines, "", *self.folders])
        return hashlib.sha256(os.fsencode(text)).hexdigest()[:16]

    def folders_in(self, folder: str) -> list[str]:
        """The folders directly in one of `folders`; "" is the folder of the listing."""
        return self._children.get(folder, [])

    @functools.cached_property
    def _children(self) -> dict[str, list[str]]:
        children: dict[str, list[str]] = {}
        for folder in self.folders:
            children.setdefault(folder.rpartition("/")[0], []).append(folder)
        return children


def list_files(path: Path) -> Listing:
    """Lists a folder with one `stat` for each file: 100,000 files take less than a second."""
    files: list[File] = []
    folders: list[str] = []
    hidden_folders: list[str] = []
    # A folder and the real paths of those that contain it.
    stack: list[tuple[str, tuple[str, ...]]] = [("", (os.path.realpath(path),))]
    while stack:
        folder, parents = stack.pop()
        with _entries(path / folder) as entries:
            for entry in entries:
                name = f"{folder}/{entry.name}" if folder else entry.name
                link = entry.is_symlink()
                # DirEntry.is_dir raises if a link points to itself; isdir does not.
                if not (os.path.isdir(entry.path) if link else entry.is_dir()):
                    files.append(_file(name, entry))
                elif is_hidden(entry.name):
                    hidden_folders.append(name)
                else:
                    real_path = (
                        os.path.realpath(entry.path) if link else f"{parents[-1]}/{entry.name}"
                    )
                    if not (link and _contains_one(real_path, parents)):
                        folders.append(name)
                        stack.append((name, (*parents, real_path)))
    return Listing(tuple(sorted(files)), tuple(sorted(folders)), tuple(sorted(hidden_folders)))


def _contains_one(folder: str, paths: tuple[str, ...]) -> bool:
    """Whether a path is in the folder or the folder itself: following a link to it never ends."""
    prefix = os.path.join(folder, "")
    return any(os.path.join(path, "").startswith(prefix) for path in paths)


def is_hidden(folder: str) -> bool:
    """Whether a folder of this name belongs to a system or a tool instead of the data."""
    return folder.startswith(".") or folder.lower() in _SYSTEM_FOLDERS


def state(path: Path) -> str:
    """Text that changes with the size or time of the file, or of any file in the folder."""
    if path.is_dir():
        return list_files(path).state
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"


def digest(path: Path) -> str:
    """SHA-256 of the content of a file, or of the names and contents of all files in a folder.

    It reads everything. `state` is faster, but misses a change that keeps size and time.
    """
    if not path.is_dir():
        return files.sha256(path)
    names = [file.name for file in list_files(path).files if file.size >= 0]
    hasher = hashlib.sha256()
    with ThreadPoolExecutor() as threads:
        digests: Iterator[str] = threads.map(files.sha256, (path / name for name in names))
        for name, content in zip(names, digests, strict=True):
            hasher.update(os.fsencode(f"{name}\0{content}\n"))
    return hasher.hexdigest()


def readable_path(path: Path, expected: str) -> Path:
    """Returns the resolved path if it exists and may be read.

    Raises FileNotFoundError or PermissionError, which say what is `expected` there.
    """
    try:
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist; expected {expected}.")
        if path.is_dir():
            os.scandir(path).close()
        else:
            path.open("rb").close()
    except PermissionError as error:
        raise PermissionError(
            f"{path} is not readable; expected {expected}. Change its permissions, or copy it."
        ) from error
    return path.resolve()


def _entries(folder: Path) -> "os._ScandirIterator[str]":
    try:
        return os.scandir(folder)
    except PermissionError as error:
        raise PermissionError(
            f"{folder} is not readable; expected readable folders. Change its permissions, or "
            "remove it."
        ) from error


def _file(name: str, entry: os.DirEntry[str]) -> File:
    try:
        status = entry.stat()
    except OSError:  # a broken link, or a link to itself
        return File(name, -1, 0)
    if not stat.S_ISREG(status.st_mode):  # reading a pipe waits for ever
        return File(name, -1, 0)
    return File(name, status.st_size, status.st_mtime_ns)
