"""Turns SIGTERM into an exception: a command cleans up and prints a message, as after Ctrl-C."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Terminated(KeyboardInterrupt):
    """SIGTERM was sent. A KeyboardInterrupt, which TensorFlow and Keras pass on unchanged."""


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """Raises `Terminated` in the block when SIGTERM arrives.

    A second SIGTERM ends the process at once. Nothing changes outside the main thread, where Python
    cannot set a handler, and where the signal is ignored or has another handler already.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _raise)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _raise(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise Terminated
