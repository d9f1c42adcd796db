"""`kdk --version`: this package and what it runs on, from metadata, without importing it."""

from typing import Any

import click

from kd_keras.job.run_folders import versions


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


def _show(ctx: click.Context, option: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(lines())
        ctx.exit()


def lines() -> str:
    """A line each: kdk, Keras, TensorFlow and Python with their versions."""
    installed_versions = versions.package_versions()
    return "\n".join(
        [
            f"kdk, version {installed_versions['kd_keras']}",
            f"Keras {installed_versions['keras']}",
            f"TensorFlow {installed_versions['tensorflow']}",
            f"Python {installed_versions['python']}",
        ]
    )
