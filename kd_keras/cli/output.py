"""Options that all commands share for what they print: --json, --quiet and --verbose."""

import contextlib
import json
import sys
from typing import Any, TextIO

import click

from kd_keras.cli import errors
from kd_keras.results.terminal.screen import Screen

_JSON, _QUIET, _VERBOSE = (f"kd_keras.{name}" for name in ("json", "quiet", "verbose"))
_INDENT = 2


def command(function_or_command: Any) -> Any:
    """Adds --json, -q, -v and --traceback; the function then calls `screen` and `document`.

    Args:
        function_or_command: what click.option takes: a function below `@click.command`, or a
            click.Command.
    """
    with_volume = _quiet(_verbose(function_or_command))
    return errors.traceback_option(json_option(with_volume))


def json_option(command: Any) -> Any:
    """Adds --json alone, for a command that prints a result and nothing else."""
    return click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=_set_json,
        help="print one JSON document on stdout, and lines for people on stderr",
    )(command)


def screen() -> Screen:
    """The screen of the running command, with the verbosity that its options set.

    Raises:
        ValueError: `--quiet` and `--verbose` are both given.
    """
    meta = click.get_current_context().meta
    quiet, verbose = meta.get(_QUIET, False), meta.get(_VERBOSE, False)
    if quiet and verbose:
        raise ValueError("--quiet and --verbose are both given; expected one of them.")
    return Screen(quiet=quiet, verbose=verbose)


def wants_document() -> bool:
    """Whether there is --json."""
    return _JSON in click.get_current_context().meta


def document(value: Any) -> bool:
    """Prints `value` as the command's JSON document; does nothing without --json.

    Args:
        value: what JSON can hold; NumPy values become numbers and lists, other objects their text,
            and numbers that are NaN or infinite, which JSON does not have, become null.

    Returns:
        Whether there is --json, for a command whose lines for people repeat the document.
    """
    stdout: TextIO | None = click.get_current_context().meta.get(_JSON)
    if stdout is None:
        return False
    from kd_keras import files  # imports NumPy, which `--help` does without

    text = json.dumps(files.plain(value))
    # Python writes and reads NaN and Infinity, which JSON does not have.
    finite_value = json.loads(text, parse_constant=lambda name: None)
    click.echo(json.dumps(finite_value, indent=_INDENT, allow_nan=False), file=stdout)
    return True


def _flag(key: str, *names: str, help_text: str) -> Any:
    def keep(ctx: click.Context, option: click.Parameter, value: bool) -> None:
        ctx.meta[key] = value

    return click.option(*names, is_flag=True, expose_value=False, callback=keep, help=help_text)


_quiet = _flag(_QUIET, "-q", "--quiet", help_text="print results and warnings only")
_verbose = _flag(_VERBOSE, "-v", "--verbose", help_text="print more detail")


def _set_json(ctx: click.Context, option: click.Parameter, value: bool) -> None:
    # Whatever else is printed, also by libraries, goes to stderr until the command ends.
    if value and not ctx.resilient_parsing:
        ctx.meta[_JSON] = sys.stdout
        ctx.with_resource(contextlib.redirect_stdout(sys.stderr))
