"""`kdk --version`: this package and what it runs on, from metadata, without importing it."""

import platform
from typing import Any

import click

import kd_keras

# The names that TensorFlow is installed under.
_TENSORFLOW = ("tensorflow", "tensorflow-cpu", "tf-nightly", "tf-nightly-cpu")


def option(command: Any) -> Any:
    """Adds --version."""
    return click.option(
        "--version",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        help="Show the versions and exit.",
        callback=_show,
    )(command)


def _show(ctx: click.Context, option: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(lines())
        ctx.exit()


def lines() -> str:
    """A line each: kdk, Keras, TensorFlow and Python with their versions."""
    return "\n".join(
        [
            f"kdk, version {kd_keras.__version__}",
            f"Keras {_installed('keras')}",
            f"TensorFlow {_installed(*_TENSORFLOW)}",
            f"Python {platform.python_version()}",
        ]
    )


def _installed(*distributions: str) -> str:
    import importlib.metadata  # takes as long as the rest of `kdk --help`

    for name in distributions:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "not installed"
