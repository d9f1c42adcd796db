"""Keras imported without the lines that TensorFlow's C++ parts print while they start."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_STDERR = 2  # file descriptor
# Is there where the driver of an NVIDIA GPU is loaded.
_GPU_DRIVER = Path("/proc/driver/nvidia/version")


def import_keras() -> None:
    """Imports keras with its backend; nothing is printed unless the import fails.

    TF_CPP_MIN_LOG_LEVEL silences only what comes after TensorFlow's logging has started, so the
    file descriptor of stderr leads to a file meanwhile. What Python writes to `sys.stderr`, such as
    warnings, is shown. Does nothing where Keras or TensorFlow is imported already.
    """
    if "keras" in sys.modules or "tensorflow" in sys.modules:
        return
    with _native_stderr_aside():
        import keras  # noqa: F401

        tensorflow = sys.modules.get("tensorflow")  # not imported where another is the backend
        if tensorflow and not _GPU_DRIVER.exists():
            # The first look for GPUs reports a missing driver as an error, once.
            tensorflow.config.list_physical_devices("GPU")


@contextlib.contextmanager
def _native_stderr_aside() -> Iterator[None]:
    """Keeps what is written to the file descriptor of stderr; shows it if the block raises."""
    try:
        terminal = os.dup(_STDERR)
    except OSError:  # closed: there is nothing to keep clean
        yield
        return
    with (
        tempfile.TemporaryFile() as aside,
        os.fdopen(terminal, "w", buffering=1) as shown,
        _python_stderr_to(shown),
    ):
        os.dup2(aside.fileno(), _STDERR)
        try:
            yield
        except Exception:
            aside.seek(0)
            os.write(terminal, aside.read())
            raise
        finally:
            os.dup2(terminal, _STDERR)


@contextlib.contextmanager
def _python_stderr_to(shown: Any) -> Iterator[None]:
    """`sys.stderr` writes to `shown` in the block, where it would write to the descriptor."""
    stderr, own = sys.stderr, sys.__stderr__
    if not stderr or stderr is not own:  # none, or a notebook's or a test's own
        yield
        return
    own.flush()
    with contextlib.redirect_stderr(shown):
        yield
