"""Files and folders that appear whole or not at all: written beside their place, then renamed."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def in_place_of(target: Path) -> Iterator[Path]:
    """A path beside `target` that takes its place when the block ends well, and goes otherwise.

    Yields:
        A sibling of `target` with the same suffix, where nothing is; the block makes a file or a
        folder of it.

    Raises:
        OSError: it could not be written; what lay at `target` stays. Any other error of the block
            passes through, with the same effect.
    """
    fresh = target.with_name(f".partial.{target.name}")
    aside = target.with_name(f".old.{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _tidy_after_a_kill(fresh, aside, target)
        yield fresh
        _rename_over(fresh, aside, target)
    except OSError as error:
        stays = f"The earlier {target.name} stays as it was. " if target.exists() else ""
        raise OSError(
            f"Could not write {target}: {(error.strerror or str(error)).rstrip('.')}. {stays}"
            "Free space on that disk, or choose a folder elsewhere, and run it again."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            _remove(fresh)


def _tidy_after_a_kill(fresh: Path, aside: Path, target: Path) -> None:
    _remove(fresh)
    if aside.exists() and not target.exists():
        os.rename(aside, target)


def _rename_over(fresh: Path, aside: Path, target: Path) -> None:
    if not target.is_dir():
        os.replace(fresh, target)
        return
    # No rename replaces a folder that has files, so the old one steps aside, and back on failure.
    _remove(aside)
    os.rename(target, aside)
    try:
        os.rename(fresh, target)
    except OSError:
        os.rename(aside, target)
        raise
    _remove(aside)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
