"""Writes files completely or not at all, hashes files, locks folders."""

import contextlib
import errno
import glob
import hashlib
import json
import math
import os
import shutil
import tempfile
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

#: Error numbers of a disk, a quota or a file that is full.
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_ASIDE = ".replaced"  # the earlier folder, until the new one has its name


@contextlib.contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """Yields a path for the block to write a file or folder to, which then replaces `target`.

    The path has the name of `target`, and nothing exists there. Each process that writes the same
    target has one of its own; the last to succeed stays. After an error, `target` is as it was.

    Raises:
        OSError: writing failed. Other errors of the block are raised unchanged.
    """
    try:
        require_regular(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(target)
        with _scratch_beside(target) as scratch:
            new_path = scratch / target.name
            yield new_path
            if new_path.is_file():
                with new_path.open("rb") as file:
                    os.fsync(file.fileno())  # or a power cut leaves an empty file under the name
            _rename_over(new_path, scratch / _ASIDE, target)
    except OSError as error:
        stays = f"The earlier {target.name} stays as it was. " if os.path.exists(target) else ""
        raise format_error(target, error, stays) from error


def write_json(path: str | Path, data: Any) -> None:
    """Writes `data` as JSON, completely or not at all, see `as_json`.

    Raises:
        ValueError: a number is NaN or infinite, which JSON does not have.
        OSError: writing failed; an earlier file stays as it was.
    """
    try:
        text = as_json(data)
    except ValueError as error:
        not_finite = next(_not_finite(plain(data), ""), None)
        if not_finite is None:
            raise
        raise ValueError(
            f"{path} was not written: {not_finite[0]} is {not_finite[1]}; expected finite numbers, "
            "since JSON has no others. In a training, lower the learning rate."
        ) from error
    with atomic_write(Path(path)) as new_path:
        new_path.write_text(text, encoding="utf-8")


def as_json(data: Any) -> str:
    """What `write_json` writes: NumPy values become numbers and lists."""
    return json.dumps(plain(data), indent=2, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """The value in JSON's types: NumPy's become numbers and lists, other objects their text."""
    if type(value).__module__ == "numpy":
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)


def read_json(path: Path, *, remedy: str = "Restore it, or remove it.") -> dict[str, Any]:
    """The object in a JSON file.

    Raises ValueError, which names the file, if it holds none: a power loss leaves empty files.
    """
    require_regular(path)
    try:
        entries = json.loads(path.read_bytes())
        fault = "" if isinstance(entries, dict) else f"it holds {type(entries).__name__}"
    except ValueError as error:
        fault = str(error) if path.stat().st_size else "it is empty"
    except RecursionError:
        fault = "it is nested too deeply"
    if fault:
        raise ValueError(f"{path} is damaged: {fault}; expected an object in JSON. {remedy}")
    return dict(entries)


def require_regular(path: Path) -> None:
    """Raises OSError for a pipe, a socket or a device, which may give bytes for ever or none."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(f"{path} is a pipe, a socket or a device; expected a file. Check the path.")


def save_array(path: Path, array: Any) -> None:
    """Like np.save, but an error says why writing failed, such as a full disk."""
    import numpy as np  # here, since `kdk --help` does without

    with path.open("wb") as file:
        facts = np.lib.format.header_data_from_array_1_0(array)
        np.lib.format.write_array_header_1_0(file, {**facts, "fortran_order": False})
        file.write(np.ascontiguousarray(array).data)


def load_array(path: Path, *, mmap_mode: Any = None) -> Any:
    """The array of an .npy file; raises ValueError that says what is wrong with its contents."""
    import numpy as np

    try:
        return np.load(path, mmap_mode=mmap_mode, allow_pickle=False)
    except (OSError, EOFError, ValueError, MemoryError, SyntaxError, tokenize.TokenError) as error:
        fault = str(error).rstrip(".")
        if "allow_pickle" in fault or "Python objects" in fault:
            fault = "it holds Python objects, or it is not a file of numpy.save"
        raise ValueError(fault) from error


def sync(file: IO[Any]) -> None:
    """Waits until everything written to an open file is on the disk."""
    file.flush()
    os.fsync(file.fileno())


def sha256(path: Path) -> str:
    """SHA-256 as 64 hex digits, of a file, or of the names and contents of all files in a folder.

    About 1.2 GB/s on processors with instructions for it.
    """
    require_regular(path)
    if path.is_dir():
        total = hashlib.sha256()
        for member in sorted(member for member in path.rglob("*") if member.is_file()):
            total.update(f"{member.relative_to(path).as_posix()}\0{sha256(member)}\n".encode())
        return total.hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def size(path: str | os.PathLike[str]) -> int:
    """Bytes of a file, or of all files in a folder and the folders in it."""
    path = Path(path)
    members = path.rglob("*") if path.is_dir() else [path]
    return sum(member.stat().st_size for member in members if member.is_file())


@contextlib.contextmanager
def locked(folder: Path, *, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Lets only one process on this machine at a time run the block for the same folder.

    The lock is on the folder itself: it leaves no file, and it ends with its process. Systems and
    disks that cannot lock run the block without a lock.

    Args:
        folder: folder to lock; created if it does not exist.
        on_wait: called once if another process has the lock.

    Raises:
        OSError: the folder cannot be created.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _lock(folder, on_wait):
        yield


def lock_at_once(folder: Path) -> contextlib.AbstractContextManager[bool]:
    """Yields whether the block has the lock of `locked`, without waiting for another process.

    True where folders cannot be locked, and for one that does not exist.
    """
    return _lock(folder, None)


def is_locked(folder: Path) -> bool:
    """Whether another process, or another block of this one, has the lock of a folder."""
    with lock_at_once(folder) as got_it:
        return not got_it


@contextlib.contextmanager
def _lock(folder: Path, on_wait: Callable[[], None] | None) -> Iterator[bool]:
    """Yields whether the block has the lock; without `on_wait` it does not wait for it."""
    is_free = True
    with contextlib.ExitStack() as locks:
        with contextlib.suppress(ImportError, OSError):
            import fcntl  # Windows has none

            handle = os.open(folder, os.O_RDONLY)
            locks.callback(os.close, handle)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                is_free = on_wait is not None
                if on_wait is not None:
                    on_wait()
                    fcntl.flock(handle, fcntl.LOCK_EX)
        yield is_free


def format_error(target: Path, error: OSError, stays: str) -> OSError:
    """The error with its path, with what `stays` as it was, and what to do; it keeps its number."""
    elsewhere = "choose a folder elsewhere, and run it again."
    if error.errno in NO_SPACE:
        remedy = f"Free space on that disk, or {elsewhere}"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        remedy = f"Allow writing there, or {elsewhere}"
    elif error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        remedy = f"Move what is in the way, or {elsewhere}"
    else:
        remedy = elsewhere.capitalize()
    reason = (error.strerror or str(error)).rstrip(".")
    failure = OSError(f"Could not write {target}: {reason}. {stays}{remedy}")
    failure.errno = error.errno
    return failure


def _not_finite(data: Any, value_path: str) -> Iterator[tuple[str, float]]:
    """Where NaN or infinite numbers are in the data, such as "history.loss[3]", and each number."""
    if isinstance(data, dict):
        for name, value in data.items():
            yield from _not_finite(value, f"{value_path}.{name}" if value_path else name)
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _not_finite(value, f"{value_path}[{index}]")
    elif isinstance(data, float) and not math.isfinite(data):
        yield value_path, data


@contextlib.contextmanager
def _scratch_beside(target: Path) -> Iterator[Path]:
    """Yields a new folder beside `target`, locked, so that other processes know it is in use."""
    with contextlib.ExitStack() as locks:
        scratch = Path()
        while not scratch.name or not scratch.is_dir():  # tidied away before it was locked
            scratch = Path(tempfile.mkdtemp(prefix=f".partial.{target.name}.", dir=target.parent))
            locks.enter_context(lock_at_once(scratch))
        try:
            yield scratch
        finally:
            with contextlib.suppress(OSError):
                _remove(scratch)


def remove_leftovers(target: Path) -> None:
    """Removes what killed processes left; brings back what they had moved aside."""
    start = f".partial.{target.name}."
    for scratch in target.parent.glob(f"{glob.escape(start)}*"):
        with lock_at_once(scratch) as is_unused:
            if is_unused and "." not in scratch.name.removeprefix(start):  # not of a longer name
                _bring_back(scratch / _ASIDE, target)
                _remove(scratch)


def _bring_back(aside_path: Path, target: Path) -> None:
    if aside_path.exists() and not target.exists():
        os.rename(aside_path, target)


def _rename_over(new_path: Path, aside_path: Path, target: Path) -> None:
    if new_path.is_file() or not target.is_dir():
        os.replace(new_path, target)  # raises an error where a file would replace a folder
    else:  # no rename replaces a folder that has files: move it away first, and back on failure
        os.rename(target, aside_path)
        try:
            os.rename(new_path, target)
        except OSError:
            _bring_back(aside_path, target)
            raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Waits until the names in the folder are on the disk, where the system can do so."""
    with contextlib.suppress(OSError):  # Windows opens no folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
