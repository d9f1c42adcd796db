"""SIGINT and SIGTERM during a training: the first waits for a good moment, the second does not."""

import contextlib
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

NUMBERS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """Keeps SIGINT and SIGTERM until `act`, in a `with` block in the main thread.

    A second signal ends the process at once, even where the first one waits for TensorFlow. What
    handles a signal before the block does so after `act`. Ignored signals stay ignored.

    Args:
        at_once: whether a signal acts at once, because there is nothing to wait for.
    """

    def __init__(self, at_once: Callable[[], bool]) -> None:
        self._at_once = at_once
        self._before: dict[signal.Signals, Any] = {}
        self._received: int | None = None

    @property
    def received(self) -> bool:
        """Whether a signal waits for `act`."""
        return self._received is not None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in NUMBERS:
                old_handler = signal.getsignal(number)
                if old_handler not in (signal.SIG_IGN, None):
                    self._before[number] = old_handler
                    signal.signal(number, self._keep)
        return self

    def __exit__(self, *error: object) -> None:
        self._restore()

    def act(self) -> None:
        """Does what the signal that was received did before the block; nothing without one."""
        if self._received is not None:
            number, self._received = self._received, None
            self._restore()
            signal.raise_signal(number)

    def _keep(self, number: int, frame: FrameType | None) -> None:
        self._received = number
        if self._at_once():
            self.act()
            return
        for other_number in self._before:
            signal.signal(other_number, signal.SIG_DFL)  # acts even while TensorFlow runs a step

    def _restore(self) -> None:
        while self._before:
            number, old_handler = self._before.popitem()
            with contextlib.suppress(ValueError):  # not in the main thread any more
                signal.signal(number, old_handler)
