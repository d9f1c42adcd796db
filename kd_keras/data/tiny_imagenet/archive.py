"""The files of Tiny ImageNet, out of the official zip or of the folder it extracts to."""

import contextlib
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kd_keras.data import user_files

ROOT = "tiny-imagenet-200"
_EXPECTED = f"{ROOT}.zip, the folder that holds it, or the extracted {ROOT}/"


@dataclass(frozen=True)
class Archive:
    """Files by their names below tiny-imagenet-200/; nothing is ever extracted."""

    where: Path
    names: frozenset[str]
    read: Callable[[str], bytes]


def find(data_dir: Path) -> Path:
    """The zip or the folder that `data_dir` means; of both, the zip: its files carry checksums."""
    given = user_files.readable(data_dir, _EXPECTED)
    for path in (given / f"{ROOT}.zip", given / ROOT):
        if path.exists():
            return user_files.readable(path, _EXPECTED)
    if given.is_file() or (given / "wnids.txt").exists():
        return given
    held = ", ".join(sorted(entry.name for entry in given.iterdir())[:5]) or "nothing"
    raise FileNotFoundError(f"data_dir {given} holds {held}; expected {_EXPECTED}.")


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Opens what `find` found.

    Raises:
        ValueError: a zip that is cut short, damaged or dangerous; also from the archive's `read`.
    """
    if path.is_dir():
        names = frozenset(file.name for file in user_files.of(path).files)
        yield Archive(path, names, lambda name: (path / name).read_bytes())
        return
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise ValueError(
            f"{path} is no whole zip file ({error}), {path.stat().st_size:,} bytes; it may be cut "
            "short. Download it again; the official archive has 248,100,043 bytes."
        ) from error
    with archive:
        members = [_safe(path, name) for name in archive.namelist() if not name.endswith("/")]
        below = (name.removeprefix(f"{ROOT}/") for name in members if name.startswith(f"{ROOT}/"))
        yield Archive(path, frozenset(below), lambda name: _read(archive, path, f"{ROOT}/{name}"))


def _safe(path: Path, name: str) -> str:
    if name.startswith("/") or "\\" in name or ".." in PurePosixPath(name).parts:
        raise ValueError(
            f"{path} has the member {name!r}, which would leave its folder; expected only members "
            f"below {ROOT}/. It is not the official archive: do not use it."
        )
    return name


def _read(archive: zipfile.ZipFile, path: Path, name: str) -> bytes:
    try:
        return archive.read(name)  # which compares the member's CRC
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise ValueError(
            f"{name} in {path} is damaged ({error}). Download the archive again."
        ) from error
