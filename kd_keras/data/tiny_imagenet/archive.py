"""The files of Tiny ImageNet, read from the official zip or from the extracted folder."""

import contextlib
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kd_keras.data import user_files

ROOT = "tiny-imagenet-200"
#: Bytes of the largest file to read, and of all files of a zip, unpacked: the official ones have
#: 26 kB (images), 2.6 MB (words.txt) and 0.5 GB.
MAX_BYTES, MAX_BYTES_OF_ALL = 16_000_000, 4_000_000_000
_EXPECTED = f"{ROOT}.zip, the folder that holds it, or the extracted {ROOT}/"


@dataclass(frozen=True)
class Archive:
    """The files in tiny-imagenet-200/ by name; they are never extracted to disk."""

    path: Path
    names: frozenset[str]
    read: Callable[[str], bytes]


def find(data_dir: Path) -> Path:
    """Path of the zip or the folder; the zip if there are both, since it has checksums.

    Raises:
        FileNotFoundError: neither lies there.
    """
    folder = user_files.readable_path(data_dir, _EXPECTED)
    for path in (folder / f"{ROOT}.zip", folder / ROOT):
        if path.exists():
            return user_files.readable_path(path, _EXPECTED)
    if folder.is_file() or (folder / "wnids.txt").exists():
        return folder
    entries = ", ".join(sorted(entry.name for entry in folder.iterdir())[:5]) or "nothing"
    raise FileNotFoundError(f"data_dir {folder} holds {entries}; expected {_EXPECTED}.")


@contextlib.contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Opens the path that `find` returns.

    Raises:
        ValueError: the zip is cut short, damaged or unsafe; the archive's `read` raises it too.
    """
    if path.is_dir():
        names = frozenset(file.name for file in user_files.list_files(path).files)
        yield Archive(path, names, lambda name: _read_file(path / name))
        return
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError) as error:  # of a version that there is not
        raise ValueError(
            f"{path} is not a complete zip file ({error}); it has {path.stat().st_size:,} bytes "
            "and may be cut short. Download it again; the official archive has 248,100,043 bytes."
        ) from error
    with archive:
        _check_sizes(path, archive.infolist())
        members = [_safe(path, name) for name in archive.namelist() if not name.endswith("/")]
        member_names = (
            name.removeprefix(f"{ROOT}/") for name in members if name.startswith(f"{ROOT}/")
        )
        yield Archive(
            path,
            frozenset(member_names),
            lambda name: _read_member(archive, path, f"{ROOT}/{name}"),
        )


def _safe(path: Path, name: str) -> str:
    if name.startswith("/") or "\\" in name or ".." in PurePosixPath(name).parts:
        raise ValueError(
            f"{path} has the member {name!r}, which would be outside its folder; expected only "
            f"members in {ROOT}/. It is not the official archive: do not use it."
        )
    return name


def _check_sizes(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Raises ValueError for a zip that unpacks to too much; zipfile reads no more than it says."""
    largest_member = max(members, key=lambda member: member.file_size, default=None)
    if largest_member is not None and largest_member.file_size > MAX_BYTES:
        raise _too_large(
            f"{largest_member.filename} in {path}", largest_member.file_size, MAX_BYTES
        )
    total = sum(member.file_size for member in members)
    if total > MAX_BYTES_OF_ALL:
        raise _too_large(f"{path}, unpacked,", total, MAX_BYTES_OF_ALL)


def _read_file(path: Path) -> bytes:
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise _too_large(str(path), size, MAX_BYTES)
    return path.read_bytes()


def _too_large(what: str, size: int, limit: int) -> ValueError:
    return ValueError(
        f"{what} has {size:,} bytes; expected at most {limit:,}. It is not of the official "
        "archive: do not use it."
    )


def _read_member(archive: zipfile.ZipFile, path: Path, name: str) -> bytes:
    try:
        return archive.read(name)  # checks the CRC of the member
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise ValueError(
            f"{name} in {path} is damaged ({error}). Download the archive again."
        ) from error
