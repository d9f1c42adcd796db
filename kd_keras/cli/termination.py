"""SIGINT and SIGTERM end a command with a message and an exit code, never with a traceback."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

INTERRUPTED = 130  # what a shell reports after Ctrl-C
TERMINATED = 143  # what a shell reports after SIGTERM
#: Seconds after which the process ends if something swallowed the exception.
PATIENCE = 4.0
_NUMBERS = (signal.SIGINT, signal.SIGTERM)
_CODES = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}
_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
# Code that C++ calls, which loses an exception or crashes by one: imports and traced functions.
_FILES = ("<frozen importlib._bootstrap>", "tensorflow/python/framework/func_graph.py")
# Functions that Python calls where nothing can catch an exception.
_FUNCTIONS = ("__del__", "_xla_gc_callback")


class Terminated(KeyboardInterrupt):
    """SIGTERM was sent. A KeyboardInterrupt, which TensorFlow and Keras pass on unchanged."""


@contextlib.contextmanager
def raise_on_signals() -> Iterator[None]:
    """Raises KeyboardInterrupt in the block after a SIGINT, `Terminated` after a SIGTERM.

    Where an exception would be lost or crash TensorFlow, as in an import or while a function is
    traced, the process ends at once, with the message and the exit code that it would have had.
    A second signal ends the process at once. Nothing changes outside the main thread, where Python
    cannot set a handler, and for signals that are ignored or have another handler already.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    old_handlers = {n: signal.getsignal(n) for n in _NUMBERS if in_main_thread and _is_free(n)}
    stop = _Stop(list(old_handlers))
    hook = sys.unraisablehook
    for number in old_handlers:
        signal.signal(number, stop)
    try:
        yield
    except Exception as error:
        if stop.number is None:
            raise
        raise stop.exception() from error  # what TensorFlow made of the exception of a signal
    finally:
        stop.close()
        sys.unraisablehook = hook
        for number, handler in old_handlers.items():
            signal.signal(number, handler)


def message(number: int) -> str:
    """The message of a command that a signal ended."""
    name = _NAMES[signal.Signals(number)]
    return f"stopped by {name}. Run the same command again to continue."


def end_at_once(number: int, stderr: int) -> None:
    """Ends the process with the message and exit code of a signal; nothing is cleaned up.

    Args:
        number: number of the signal.
        stderr: file descriptor for the message.
    """
    show_cursor = "\x1b[?25h" if os.isatty(stderr) else ""  # a progress bar hides it
    with contextlib.suppress(OSError):
        os.write(stderr, f"{show_cursor}kdk: {message(number)}\n".encode())
    os._exit(_CODES[signal.Signals(number)])


class _Stop:
    """Handles signals of these numbers.

    Attributes:
        longest_wait: seconds that a training may let a signal wait, see
            `distill.callbacks.stop_signals`.
    """

    longest_wait = PATIENCE

    def __init__(self, numbers: list[signal.Signals]) -> None:
        self.number: int | None = None
        self._numbers = numbers
        self._timer: threading.Timer | None = None
        self._stderr = -1
        with contextlib.suppress(OSError):  # it is closed
            self._stderr = os.dup(2)  # which is a file for a while, as in `graph.quiet_import`

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        for handled in self._numbers:
            signal.signal(handled, signal.SIG_DFL)
        if _loses_exceptions(frame):
            end_at_once(number, self._stderr)
        self._timer = threading.Timer(PATIENCE, end_at_once, [number, self._stderr])
        self._timer.daemon = True
        self._timer.start()
        sys.unraisablehook = _ignore
        raise self.exception()

    def end_process(self, number: int) -> None:
        """Ends the process at once, with the message and exit code of a signal."""
        end_at_once(number, self._stderr)

    def exception(self) -> KeyboardInterrupt:
        return Terminated() if self.number == signal.SIGTERM else KeyboardInterrupt()

    def close(self) -> None:
        """Lets the process go on, where nothing raised the exception again."""
        if self._timer is not None:
            self._timer.cancel()
        with contextlib.suppress(OSError):
            os.close(self._stderr)


def _is_free(number: signal.Signals) -> bool:
    """Whether a signal does what it does by default, or what `__main__` made it do."""
    handler = signal.getsignal(number)
    by_default = (signal.SIG_DFL, signal.default_int_handler)
    return handler in by_default or getattr(handler, "is_of_start", False)


def _loses_exceptions(frame: FrameType | None) -> bool:
    while frame is not None:
        code = frame.f_code
        if code.co_name in _FUNCTIONS or code.co_filename.endswith(_FILES):
            return True
        frame = frame.f_back
    return False


def _ignore(unraisable: Any) -> None:
    """In place of `sys.unraisablehook`, which would print the exception of the signal."""
