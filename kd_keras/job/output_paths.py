"""Checks that files and folders that the user names can be written, before work that takes long."""

import errno
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from kd_keras import files

# A file is written under a longer name first, see `files.atomic_write`.
_LONGEST_NAME = ".partial.{}.12345678"
_SHOWN = 120  # most letters of a path that is too long


def require_folder(folder: Path, option: str = "") -> None:
    """Raises OSError unless files can be written in the folder, or in one made there.

    Args:
        folder: the folder, which need not exist; if it does not, it is not made.
        option: what names the folder, such as "--out", for the message; empty: nothing does.
    """
    _require(folder, *_split(folder.absolute()), option)


def require_file(file: Path, option: str = "") -> None:
    """Raises OSError unless a file can be written under this name, or over one that is there.

    Args:
        file: the file, which need not exist; if it does not, it is not made.
        option: what names the file, such as "--out", for the message; empty: nothing does.
    """
    existing_folder, missing = _split(file.absolute().parent)
    _require(file, existing_folder, [*missing, file.name], option)
    files.require_regular(file)
    if file.is_dir():
        raise IsADirectoryError(
            f"{option or 'the file to write'} is {str(file)!r}, a folder; expected a file. Add a "
            "file's name to it."
        )


def _require(path: Path, existing_folder: Path, missing: Sequence[str], option: str) -> None:
    """Raises OSError unless folders of the missing names can be made in the folder."""
    try:
        if not existing_folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{existing_folder} is a file")
        with tempfile.TemporaryDirectory(prefix=".kd_keras-", dir=existing_folder) as scratch:
            for name in missing:
                scratch = os.path.join(scratch, _LONGEST_NAME.format(name))
                os.mkdir(scratch)
    except OSError as error:
        raise _error(path, error, option) from error


def _split(path: Path) -> tuple[Path, list[str]]:
    """The nearest folder or file above that exists, and the names of what is missing below it."""
    existing = path
    missing: list[str] = []
    while not os.path.lexists(existing):
        missing.insert(0, existing.name)
        existing = existing.parent
    return existing, missing


def _error(path: Path, error: OSError, option: str) -> OSError:
    if error.errno != errno.ENAMETOOLONG:
        return files.format_error(path, error, f"That is {option}. " if option else "")
    text = str(path)
    text = text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]}…{text[-_SHOWN // 2 :]}"
    failure = OSError(
        f"Could not write {text}: the name or the path is too long for the file system; expected "
        f"names of at most about 230 bytes. Give a shorter {option or 'name'}."
    )
    failure.errno = error.errno
    return failure
