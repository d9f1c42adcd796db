"""SIGINT and SIGTERM during a training: the first waits for a good moment, the second does not."""

import contextlib
import math
import signal
import socket
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

NUMBERS = (signal.SIGINT, signal.SIGTERM)
_DONE = 0  # what is sent to the watching thread when no signal waits any more


class StopSignals:
    """Keeps SIGINT and SIGTERM until `act`, in a `with` block in the main thread.

    A second signal ends the process at once, even where the first one waits for TensorFlow. What
    handles a signal before the block does so after `act`. Ignored signals stay ignored.

    Python runs handlers between its own instructions, so a signal that comes during a call of
    TensorFlow is handled after it. If what handles signals before the block has `longest_wait`, in
    seconds, and `end_process`, as in `kdk`, a thread notices a signal at once: after that time
    it calls `at_limit` and then `end_process` with the number; after a second signal, the latter.

    Args:
        at_once: whether a signal acts at once, because there is nothing to wait for.
        at_limit: called in another thread when a signal has waited for `longest_wait`; says whether
            the process may end now.
    """

    def __init__(
        self, at_once: Callable[[], bool], at_limit: Callable[[], bool] = lambda: True
    ) -> None:
        self._at_once, self._at_limit = at_once, at_limit
        self._before: dict[signal.Signals, Any] = {}
        self._received: int | None = None
        self._watched = contextlib.ExitStack()
        self._sender: socket.socket | None = None
        #: Seconds that a signal waits for `act`.
        self.longest_wait = math.inf

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
            enders = (h for h in self._before.values() if hasattr(h, "longest_wait"))
            if (ender := next(enders, None)) is not None:
                self._start_watching(ender)
        return self

    def __exit__(self, *error: object) -> None:
        self._restore()
        self._watched.close()

    def act(self) -> None:
        """Does what the signal that was received did before the block; nothing without one."""
        if self._received is not None:
            number, self._received = self._received, None
            self._restore()
            self._stop_watching()
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

    def _start_watching(self, ender: Any) -> None:
        """Lets a thread know of signals as they come, unless something else listens already."""
        sender, receiver = socket.socketpair()
        sender.setblocking(False)
        old_descriptor = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        if old_descriptor != -1:  # an event loop's
            signal.set_wakeup_fd(old_descriptor)
            sender.close()
            receiver.close()
            return
        self._sender, self.longest_wait = sender, ender.longest_wait
        numbers = {int(number) for number in self._before} | {_DONE}
        thread = threading.Thread(target=self._watch, args=(receiver, numbers, ender), daemon=True)
        thread.start()
        for close in (receiver.close, sender.close, thread.join, self._stop_watching):
            self._watched.callback(close)  # they run in the opposite order
        self._watched.callback(signal.set_wakeup_fd, -1)

    def _stop_watching(self) -> None:
        if self._sender is not None:
            self._sender.send(bytes([_DONE]))

    def _watch(self, receiver: socket.socket, numbers: set[int], ender: Any) -> None:
        number = _next(receiver, numbers, None)
        if number == _DONE:
            return
        second = _next(receiver, numbers, ender.longest_wait)
        if second is None and not self._at_limit():
            second = _next(receiver, numbers, None)
        if second != _DONE:
            ender.end_process(number)


def _next(receiver: socket.socket, numbers: set[int], seconds: float | None) -> int | None:
    """The next of these numbers; None if none comes in so many seconds."""
    end = None if seconds is None else time.monotonic() + seconds
    while True:
        receiver.settimeout(None if end is None else max(1e-3, end - time.monotonic()))
        try:
            number = receiver.recv(1)[0]
        except TimeoutError:
            return None
        if number in numbers:
            return number
