"""Locks folders, so that one process at a time works in each."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def locked(folder: Path, *, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Lets only one process on this machine at a time run the block for the same folder.

    The lock is on the folder itself: it leaves no file, and it ends with its process. Systems and
    disks that cannot lock run the block without a lock.

    Args:
        folder: folder to lock; created if it does not exist.
        waiting: called once if another process has the lock.

    Raises:
        OSError: the folder cannot be created.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _lock(folder, waiting):
        yield


@contextlib.contextmanager
def lock_at_once(folder: Path) -> Iterator[bool]:
    """Yields whether the block has the lock of `locked`; does not wait for another process.

    True where folders cannot be locked, and for a folder that does not exist.
    """
    with _lock(folder, None) as is_free:
        yield is_free


def is_locked(folder: Path) -> bool:
    """Whether another process, or another block of this one, has the lock of a folder."""
    with lock_at_once(folder) as got_it:
        return not got_it


@contextlib.contextmanager
def _lock(folder: Path, waiting: Callable[[], None] | None) -> Iterator[bool]:
    """Yields whether the block has the lock; without `waiting` it does not wait for it."""
    is_free = True
    with contextlib.ExitStack() as held:
        with contextlib.suppress(ImportError, OSError):
            import fcntl  # Windows has none

            handle = os.open(folder, os.O_RDONLY)
            held.callback(os.close, handle)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                is_free = waiting is not None
                if waiting is not None:
                    waiting()
                    fcntl.flock(handle, fcntl.LOCK_EX)
        yield is_free
