"""Hides what other projects' code prints: from Python, from C++, as warnings and as logs."""

import contextlib
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator

_DESCRIPTORS = (1, 2)  # stdout and stderr, which C++ code writes to


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Hides everything that the block prints; its errors are raised unchanged.

    Handlers that the block adds to the root logger, as tf2onnx does, are removed: they would write
    later logs to the hidden file, which is closed by then.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.callback(logging.disable, logging.root.manager.disable)
        stack.callback(_restore_root_logger, list(logging.root.handlers), logging.root.level)
        logging.disable(logging.CRITICAL)
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
        hidden = stack.enter_context(tempfile.TemporaryFile("w+"))
        stack.enter_context(contextlib.redirect_stdout(hidden))
        stack.enter_context(contextlib.redirect_stderr(hidden))
        for descriptor in _DESCRIPTORS:
            with contextlib.suppress(OSError):  # a stream that is closed shows nothing anyway
                original = os.dup(descriptor)
                stack.callback(os.close, original)
                stack.callback(os.dup2, original, descriptor)
                os.dup2(hidden.fileno(), descriptor)
        yield


def _restore_root_logger(handlers: list[logging.Handler], level: int) -> None:
    for handler in [handler for handler in logging.root.handlers if handler not in handlers]:
        logging.root.removeHandler(handler)
    logging.root.setLevel(level)
