"""`kdk list`: data sets, models, methods and recipes, a line each."""

import importlib
from types import ModuleType

import click

from kd_keras import check

# What can be listed: the module whose names() and describe(name) say it.
_KINDS = {
    "datasets": "kd_keras.data",
    "models": "kd_keras.models",
    "methods": "kd_keras.methods",
    "recipes": "kd_keras.recipe",
}


@click.command("list")
@click.argument("kind", metavar=f"[{'|'.join(_KINDS)}]", required=False)
@click.argument("name", metavar="[NAME]", required=False)
def command(kind: str | None, name: str | None) -> None:
    """List data sets, models, methods and recipes with a line each; with NAME, say more of one."""
    if kind is None:
        click.echo("\n\n".join(f"{each}:\n{_lines(_module(each))}" for each in _KINDS))
    elif name is None:
        click.echo(_lines(_module(kind)))
    else:
        module = _module(kind)
        tell = getattr(module, "explain", module.describe)
        click.echo(tell(name))


def _module(kind: str) -> ModuleType:
    return importlib.import_module(_KINDS[check.one_of("kind", kind, _KINDS)])


def _lines(module: ModuleType) -> str:
    names = module.names()
    width = max(map(len, names))
    return "\n".join(f"  {name:<{width}}  {module.describe(name)}" for name in names)
