"""Turns a user's mistake into one message and an exit code instead of a traceback."""

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import click

from kd_keras.cli import termination
from kd_keras.results import wrapping

PARTLY_DONE = 1  # some files failed, the others are done
WRONG_INPUT = 2
INTERRUPTED = 130  # what a shell reports after Ctrl-C
TERMINATED = 143  # what a shell reports after SIGTERM
#: For the help of `kdk`.
EXIT_CODES = (
    "Exit codes: 0 done, 1 partly done (some files failed), 2 wrong input, 130 stopped by Ctrl-C, "
    "143 stopped by SIGTERM."
)
_TRACEBACK = "kd_keras.traceback"


@contextlib.contextmanager
def translate_errors(ctx: click.Context) -> Iterator[None]:
    """Turns ValueError, OSError, Ctrl-C and SIGTERM in the block into a message and an exit."""
    try:
        with termination.raised():
            yield
    except BrokenPipeError:
        raise  # the reader of our output ended (`kdk list | head`): click exits silently
    except termination.Terminated:
        _report(ctx, "stopped by SIGTERM. Run the same command again to continue.")
        ctx.exit(TERMINATED)
    except KeyboardInterrupt:
        _report(ctx, "stopped by Ctrl-C. Run the same command again to continue.")
        ctx.exit(INTERRUPTED)
    except (ValueError, OSError) as error:
        _report(ctx, str(error) or type(error).__name__)
        ctx.exit(WRONG_INPUT)


def traceback_option(command: Any) -> Any:
    """Adds the hidden option --traceback, which shows where an error was raised."""
    return click.option(
        "--traceback", is_flag=True, hidden=True, expose_value=False, callback=_set_traceback
    )(command)


def _set_traceback(ctx: click.Context, option: click.Parameter, wanted: bool) -> None:
    # meta is shared by a command and its group: either may have been given the option.
    ctx.meta[_TRACEBACK] = wanted or ctx.meta.get(_TRACEBACK, False)


def _report(ctx: click.Context, message: str) -> None:
    if ctx.meta.get(_TRACEBACK) or os.environ.get("KDK_TRACEBACK", "0") != "0":
        click.echo(traceback.format_exc(), err=True)
    click.echo(wrapped(f"kdk: {message}"), err=True)


def wrapped(message: str) -> str:
    """The message wrapped to the width of the terminal that stderr is."""
    return wrapping.wrapped(message, sys.stderr, indent="  ")
