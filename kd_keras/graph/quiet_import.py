"""Imports Keras without the lines that TensorFlow's C++ code prints at its start."""

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_STDERR = 2  # file descriptor
# This file exists while the driver of an NVIDIA GPU is loaded.
_GPU_DRIVER = Path("/proc/driver/nvidia/version")


def import_keras() -> None:
    """Imports keras with its backend; nothing is printed unless the import fails.

    A workaround for TensorFlow 2.21: TF_CPP_MIN_LOG_LEVEL does not silence the lines before its
    logging starts. So stderr's file descriptor points to a temporary file meanwhile. Python's
    own `sys.stderr` stays visible. Does nothing if Keras or TensorFlow is already imported.
    """
    if "keras" in sys.modules or "tensorflow" in sys.modules:
        return
    with _native_stderr_in_a_file():
        import keras  # noqa: F401

        tensorflow = sys.modules.get("tensorflow")  # absent with another backend
        if tensorflow and not _GPU_DRIVER.exists():
            # TensorFlow's first search for GPUs reports a missing driver as an error: do it here.
            tensorflow.config.list_physical_devices("GPU")


@contextlib.contextmanager
def _native_stderr_in_a_file() -> Iterator[None]:
    """Hides what the block writes to stderr's file descriptor; shows it if the block raises."""
    try:
        terminal = os.dup(_STDERR)
    except OSError:  # stderr is closed: nothing would be shown anyway
        yield
        return
    with (
        tempfile.TemporaryFile() as hidden_output,
        os.fdopen(terminal, "w", buffering=1) as visible_output,
        _python_stderr_to(visible_output),
    ):
        os.dup2(hidden_output.fileno(), _STDERR)
        try:
            yield
        except Exception:
            hidden_output.seek(0)
            os.write(terminal, hidden_output.read())
            raise
        finally:
            os.dup2(terminal, _STDERR)


@contextlib.contextmanager
def _python_stderr_to(visible_file: Any) -> Iterator[None]:
    """In the block, `sys.stderr` writes to the file `visible_file` instead of the descriptor."""
    stderr, original_stderr = sys.stderr, sys.__stderr__
    if not stderr or stderr is not original_stderr:  # absent, or replaced by a notebook or a test
        yield
        return
    original_stderr.flush()
    try:
        with contextlib.redirect_stderr(visible_file):
            yield
    finally:
        # TensorFlow's logger keeps the stream of its import, which is closed after the block.
        for handler in logging.getLogger("tensorflow").handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is visible_file:
                handler.setStream(original_stderr)
