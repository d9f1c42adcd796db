"""Turns a user's mistake into one message and an exit code instead of a traceback."""

import contextlib
import errno
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from kd_keras.cli import termination
from kd_keras.results.terminal import wrapping

PARTLY_DONE = 1  # some files failed, the others are done
DIFFERENT = 1  # a repeated run came out differently
WRONG_INPUT = 2
#: For the help of `kdk`.
EXIT_CODES = (
    "Exit codes: 0 done, 1 partly done (some files failed) or not the same (--repeat), 2 wrong "
    "input, 130 stopped by Ctrl-C, 143 stopped by SIGTERM."
)
_TRACEBACK = "kd_keras.traceback"


@contextlib.contextmanager
def translate_errors(ctx: click.Context) -> Iterator[None]:
    """Turns ValueError, OSError, Ctrl-C and SIGTERM in the block into a message and an exit."""
    try:
        with termination.raise_on_signals():
            yield
    except BrokenPipeError:
        raise  # the reader of our output ended (`kdk list | head`): click exits silently
    except termination.Terminated:
        _report(ctx, termination.message(signal.SIGTERM))
        ctx.exit(termination.TERMINATED)
    except KeyboardInterrupt:
        _report(ctx, termination.message(signal.SIGINT))
        ctx.exit(termination.INTERRUPTED)
    except (ValueError, OSError) as error:
        _report(ctx, _error_text(error))
        ctx.exit(WRONG_INPUT)
    except Exception as error:
        message = _text_of_other(error)
        if not message:
            raise
        _report(ctx, message)
        ctx.exit(WRONG_INPUT)


def traceback_option(command: Any) -> Any:
    """Adds the hidden option --traceback, which shows where an error was raised."""
    return click.option(
        "--traceback", is_flag=True, hidden=True, expose_value=False, callback=_set_traceback
    )(command)


def _error_text(error: ValueError | OSError) -> str:
    """The error in words; one of the system's gets its file, or the disks that are full."""
    text = str(error) or type(error).__name__
    if not text.startswith("[Errno") or not isinstance(error, OSError):
        return text
    from kd_keras import data, files  # NumPy, which no start of kdk waits for

    reason = (error.strerror or text).rstrip(".")
    if error.filename is not None and error.errno in (*files.NO_SPACE, errno.EROFS):
        return str(files.format_error(Path(error.filename), error, ""))
    if error.filename is not None:
        return f"{error.filename}: {reason}. Check the path and whether it may be read and written."
    if error.errno in files.NO_SPACE:
        folders = {data.cache_folder(), Path.cwd(), Path(tempfile.gettempdir())}
        free_space = ", ".join(
            f"{folder} {disk / 1e6:,.0f} MB" for folder, disk in _free_bytes(folders)
        )
        return (
            f"{reason}. Free space on the disk that is full ({free_space} free), or send the "
            "output elsewhere, and run it again."
        )
    return f"{reason}. Run it with --traceback to see where."


def _free_bytes(folders: Iterable[Path]) -> Iterator[tuple[Path, int]]:
    """Free bytes on the disk of each folder, or of the nearest folder above it that exists."""
    for folder in sorted(folders):
        nearest_folder = next(path for path in (folder, *folder.parents) if path.exists())
        yield folder, shutil.disk_usage(nearest_folder).free


def _text_of_other(error: Exception) -> str:
    """In words, an error that is neither a ValueError nor an OSError; "" for one of the program."""
    if isinstance(error, RuntimeError) and "home directory" in str(error):  # of Path.expanduser
        return (
            "a path begins with ~ and a name that no user of this machine has; expected ~/, or the "
            "name of a user. Write the whole path."
        )
    if not _is_out_of_memory(error):
        return ""
    return (
        f"the memory of this machine is full ({str(error).partition(chr(10))[0]}). Lower "
        "--batch-size or --image-size, take smaller models, or end other programs."
    )


def _is_out_of_memory(error: Exception) -> bool:
    """Whether Python, NumPy or TensorFlow, which need not be imported, got no memory."""
    names = {base.__name__ for base in type(error).__mro__}
    return isinstance(error, MemoryError) or "ResourceExhaustedError" in names


def _set_traceback(ctx: click.Context, option: click.Parameter, value: bool) -> None:
    # meta is shared by a command and its group: either may have been given the option.
    ctx.meta[_TRACEBACK] = value or ctx.meta.get(_TRACEBACK, False)


def _report(ctx: click.Context, message: str) -> None:
    if ctx.meta.get(_TRACEBACK) or os.environ.get("KDK_TRACEBACK", "0") != "0":
        click.echo(traceback.format_exc(), err=True)
    click.echo(wrapped(f"kdk: {message}"), err=True)


def wrapped(message: str) -> str:
    """The message wrapped to the width of the terminal that stderr is."""
    return wrapping.wrapped(message, sys.stderr, indent="  ")
