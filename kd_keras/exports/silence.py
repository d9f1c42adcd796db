"""Hides what other projects' code prints: from Python, from C++, as warnings and as logs."""

import contextlib
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping

_DESCRIPTORS = (1, 2)  # stdout and stderr, which C++ code writes to


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Hides everything that the block prints; its errors are raised unchanged.

    Handlers that the block adds to the root logger are removed, since they would write later logs
    to the hidden file, which is closed by then. Loggers get their levels back. tf2onnx does both.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.callback(logging.disable, logging.root.manager.disable)
        levels = {logger: logger.level for logger in _loggers()}
        stack.callback(_restore_loggers, list(logging.root.handlers), levels)
        logging.disable(logging.CRITICAL)
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
        hidden_output = stack.enter_context(tempfile.TemporaryFile("w+"))
        stack.enter_context(contextlib.redirect_stdout(hidden_output))
        stack.enter_context(contextlib.redirect_stderr(hidden_output))
        for descriptor in _DESCRIPTORS:
            with contextlib.suppress(OSError):  # a stream that is closed shows nothing anyway
                original_descriptor = os.dup(descriptor)
                stack.callback(os.close, original_descriptor)
                stack.callback(os.dup2, original_descriptor, descriptor)
                os.dup2(hidden_output.fileno(), descriptor)
        yield


def _loggers() -> list[logging.Logger]:
    logger_entries = logging.root.manager.loggerDict.values()  # holds placeholders too
    return [
        logging.root,
        *(logger for logger in logger_entries if isinstance(logger, logging.Logger)),
    ]


def _restore_loggers(handlers: list[logging.Handler], levels: Mapping[logging.Logger, int]) -> None:
    for handler in [handler for handler in logging.root.handlers if handler not in handlers]:
        logging.root.removeHandler(handler)
    for logger, level in levels.items():
        logger.setLevel(level)
