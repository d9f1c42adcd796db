"""One process at a time works in a run folder; for a second one, an error names the first."""

import contextlib
import dataclasses
import datetime
import json
import os
import socket
from pathlib import Path
from typing import Self

from kd_keras import files

NAME = "running.json"


@dataclasses.dataclass(frozen=True)
class Holder:
    """The process that works in a run folder.

    Attributes:
        pid: its number.
        host: the name of its machine.
        since: date and time at which it began, ISO 8601.
    """

    pid: int
    host: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since.replace('T', ' ')}"


class RunLock:
    """The lock of a run folder, which ends with its process at the latest; use it in a `with`.

    It is on the folder itself, and `running.json` in it says who holds it, see `files.locked`.

    Args:
        folder: the run folder, which need not exist before `take`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._locks = contextlib.ExitStack()
        self._identity: tuple[int, int] | None = None  # of the folder, while it is locked

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    @property
    def is_held(self) -> bool:
        """Whether this object has the lock."""
        return self._identity is not None

    def take(self) -> None:
        """Takes the lock of a folder that exists, unless this object has it.

        Raises:
            ValueError: another process has it.
        """
        if self.is_held:
            return
        if not self._locks.enter_context(files.lock_at_once(self.folder)):
            self._locks.close()
            raise ValueError(
                f"run folder {self.folder} is in use by {holder(self.folder) or 'a process'}; "
                "expected one process at a time. Wait until it ends, stop it, or choose another "
                "name with --run."
            )
        start_time = datetime.datetime.now().isoformat(timespec="seconds")
        self._identity = _identity(self.folder)
        own_holder = Holder(os.getpid(), socket.gethostname(), start_time)
        files.write_json(self.folder / NAME, dataclasses.asdict(own_holder))

    def release(self) -> None:
        """Lets others have it."""
        if self._identity is not None and self._identity == _identity(self.folder):
            with contextlib.suppress(OSError):
                (self.folder / NAME).unlink()
        self._identity = None
        self._locks.close()

    def require_folder(self) -> None:
        """Raises FileNotFoundError if the folder that is locked was removed or replaced."""
        if self._identity is not None and self._identity != _identity(self.folder):
            raise FileNotFoundError(
                f"run folder {self.folder} was removed while the run was writing into it. Leave "
                "it in place, and run the same command again."
            )


def holder(folder: Path) -> Holder | None:
    """The process that works in a run folder; None if there is none, or it is not known."""
    if not files.is_locked(folder):
        return None
    try:
        return Holder(**json.loads((folder / NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
