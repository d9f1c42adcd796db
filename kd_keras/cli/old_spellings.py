"""Shows warnings about old spellings as one line each, without the place in the code."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import click

from kd_keras.cli import errors
from kd_keras.job.recipe.old_spelling import OldSpellingWarning


@contextlib.contextmanager
def print_old_spellings() -> Iterator[None]:
    """Prints each `OldSpellingWarning` in the block on stderr once, and others as usual."""
    show_as_usual = warnings.showwarning
    shown: set[str] = set()

    def show(message: Any, category: type[Warning], *arguments: Any, **keywords: Any) -> None:
        if not issubclass(category, OldSpellingWarning):
            show_as_usual(message, category, *arguments, **keywords)
        elif str(message) not in shown:
            shown.add(str(message))
            click.echo(errors.wrapped(f"kdk: warning: {message}"), err=True)

    with warnings.catch_warnings():
        warnings.simplefilter("always", OldSpellingWarning)
        warnings.showwarning = show
        yield
