"""Paths and sizes as text for people."""

import os
from pathlib import Path

from kd_keras import files


def short_path(path: str | os.PathLike[str]) -> str:
    """The path with the home folder as ~."""
    path = Path(path)
    home = Path.home()
    return str(Path("~") / path.relative_to(home)) if path.is_relative_to(home) else str(path)


def short_path_with_size(folder: str | os.PathLike[str]) -> str:
    """The folder's path and the size of its files: "~/a/b (12 MB)"."""
    return f"{short_path(folder)} ({megabytes(files.size(folder))})"


def megabytes(num_bytes: int) -> str:
    """A number of bytes in units of 10^6."""
    return f"{num_bytes / 1e6:,.0f} MB" if num_bytes >= 1e7 else f"{num_bytes / 1e6:.2g} MB"
