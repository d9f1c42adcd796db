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
    """Hides everything that the block prints; its errors are raised unchanged."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.callback(logging.disable, logging.root.manager.disable)
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
