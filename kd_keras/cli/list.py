"""`kdk list`: datasets, models, methods and recipes, one line each."""

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import click

from kd_keras import check
from kd_keras.cli import output

# Kinds of things to list, and the module with names() and describe(name) for each.
_KINDS = {
    "datasets": "kd_keras.data",
    "models": "kd_keras.models",
    "methods": "kd_keras.methods",
    "recipes": "kd_keras.job.recipe.recipe_files",
}


@click.command("list")
@click.argument(
    "kind",
    metavar=f"[{'|'.join(_KINDS)}]",
    required=False,
    shell_complete=lambda ctx, param, start: [kind for kind in _KINDS if kind.startswith(start)],
)
@click.argument(
    "name",
    metavar="[NAME]",
    required=False,
    shell_complete=lambda ctx, param, start: _completions(ctx.params.get("kind"), start),
)
@output.json_option
def command(kind: str | None, name: str | None) -> None:
    """List datasets, models, methods and recipes, one line each; with NAME, explain one."""
    if output.document(_document(kind, name)):
        return
    if kind is None:
        click.echo(
            "\n\n".join(f"{kind_name}:\n{_lines(_module(kind_name))}" for kind_name in _KINDS)
        )
    elif name is None:
        click.echo(_lines(_module(kind)))
    else:
        click.echo(_explain(kind)(name))


def _document(kind: str | None, name: str | None) -> dict[str, Any]:
    """The names of each kind with a line on each; with a name, its explanation."""
    if kind is not None and name is not None:
        return {"kind": kind, "name": name, "text": _explain(kind)(name)}
    modules = {kind_name: _module(kind_name) for kind_name in ([kind] if kind else _KINDS)}
    return {
        kind_name: {name: module.describe(name) for name in module.names()}
        for kind_name, module in modules.items()
    }


def _module(kind: str) -> ModuleType:
    return importlib.import_module(_KINDS[check.one_of("kind", kind, _KINDS)])


def _explain(kind: str) -> Callable[[str], str]:
    """The function that explains one name; for models, it builds the model."""
    module = _module(kind)
    if kind == "models":
        module = importlib.import_module("kd_keras.cli.model_description")
    explain: Callable[[str], str] = getattr(module, "explain", None) or module.describe
    return explain


def _completions(kind: str | None, start: str) -> list[str]:
    """Names of the kind that begin with `start`; none for an unknown kind."""
    names = _module(kind).names() if kind in _KINDS else ()
    return [name for name in names if name.startswith(start)]


def _lines(module: ModuleType) -> str:
    """A line for each name; those of methods under the names of their families."""
    names, families = module.names(), getattr(module, "FAMILIES", ())
    width = max(map(len, names))

    def line(name: str) -> str:
        return f"  {name:<{width}}  {module.describe(name)}"

    if not families:
        return "\n".join(map(line, names))
    members = {family: [n for n in names if module.family(n) == family] for family in families}
    return "\n".join(
        "\n".join([f" {family}:", *map(line, members[family])])
        for family in families
        if members[family]
    )
