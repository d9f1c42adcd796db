"""Runs another project's converter: without what it prints, with its error in one line."""

import contextlib
import logging
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator

_STREAMS = (1, 2)  # file descriptors of stdout and stderr, which C++ code writes to
_LONGEST = 300  # characters of an error
_NOISE = re.compile(r"loc\(.*\): |<unknown>:0: |error: ")


@contextlib.contextmanager
def converting(name: str, target: str) -> Iterator[None]:
    """Hides lines, warnings and logs of the block; its errors become a ValueError with the reason.

    Args:
        name: the model's name.
        target: what it is converted to, such as "LiteRT".

    Raises:
        ValueError: the block failed.
        OSError, MemoryError: as the block raised them, such as for a full disk.
    """
    try:
        with _silent():
            yield
    except (OSError, MemoryError):
        raise
    except Exception as error:  # each converter has its own kinds
        raise ValueError(
            f"model {name!r} cannot be converted to {target} ({_reason(error)}); expected layers "
            f"that {target} has operations for. Replace the layer, or choose another format."
        ) from error


@contextlib.contextmanager
def _silent() -> Iterator[None]:
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
        for descriptor in _STREAMS:
            with contextlib.suppress(OSError):  # a stream that is closed shows nothing anyway
                kept = os.dup(descriptor)
                stack.callback(os.close, kept)
                stack.callback(os.dup2, kept, descriptor)
                os.dup2(hidden.fileno(), descriptor)
        yield


def _reason(error: Exception) -> str:
    """The first line of the error that says something."""
    lines = [_NOISE.sub("", line).strip() for line in str(error).splitlines()]
    text = next(filter(None, lines), type(error).__name__).rstrip(".")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
