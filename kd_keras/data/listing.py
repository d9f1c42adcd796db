"""What can be told of a user's files without reading them."""

import hashlib
import os
from pathlib import Path


def state(path: Path) -> str:
    """Changes when a file is replaced by another, or any file below a folder is added or removed.

    A file's state is its size and time. A folder's follows from the names, times and file counts of
    the folders below it; a file overwritten in place is not noticed.
    """
    if path.is_file():
        stat = path.stat()
        return f"{stat.st_size}-{stat.st_mtime_ns}"
    hasher = hashlib.sha256()
    for folder, folders, files in os.walk(path, followlinks=True):
        folders.sort()
        below = os.path.relpath(folder, path)
        hasher.update(f"{below}\0{os.stat(folder).st_mtime_ns}\0{len(files)}\0".encode())
    return hasher.hexdigest()[:16]


def readable(path: Path, expected: str) -> Path:
    """Returns the path, resolved, if it exists and may be read.

    Raises FileNotFoundError or PermissionError that say what was `expected` there.
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
            f"{path} may not be read; expected {expected}. Allow it, or copy it to another place."
        ) from error
    return path.resolve()
