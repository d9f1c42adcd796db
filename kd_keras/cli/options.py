"""Options that commands share: a recipe, and its fields in sections."""

from collections.abc import Iterable
from typing import Any

import click

from kd_keras.cli import completion
from kd_keras.job import method_options, recipe, recipe_files

# By type; a field whose values are of another kind, by its name.
_METAVARS: dict[Any, str] = {
    **{int: "N", float: "X", str: "TEXT", tuple: "SPEC"},
    **{"teacher_weights": "X,...", "student": "SPEC", "imports": "MODULE"},
    "weights": "imagenet|none|FILE",
}
_FLAGS = {"imports": "import"}  # of one module; the others are called as their fields


class Option(click.Option):
    """An option that `--help` lists under `section`."""

    def __init__(self, *args: Any, section: str = "Run", **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.section = section


class Sectioned(click.Command):
    """A command whose `--help` lists its options in sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for option in self.get_params(ctx):
            record = option.get_help_record(ctx)
            if record:
                sections.setdefault(getattr(option, "section", "Run"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


def of_fields(names: Iterable[str]) -> list[click.Option]:
    """One option for each of these fields of a recipe; values stay text, which it checks."""
    shown = recipe_files.load(recipe_files.DEFAULT)
    return [_field_option(name, getattr(shown, name)) for name in names]


def of_recipe() -> list[click.Option]:
    """Where the fields that are not given come from."""
    return [
        Option(
            ["--recipe", "recipe_name"],
            metavar="NAME|FILE",
            shell_complete=completion.of_recipes(),
            help="built-in name, .toml file, run folder or its recipe.json "
            f"[{recipe_files.DEFAULT}]",
        ),
        Option(
            ["--set", "sets"],
            metavar="FIELD=VALUE",
            shell_complete=completion.of_assignments(),
            multiple=True,
            help="any field of the recipe; wins over the options below; may be repeated",
        ),
    ]


def of_methods() -> list[click.Option]:
    """Options that set a knob in the recipe's method specs."""
    return [
        Option([f"--{name.replace('_', '-')}"], metavar="X", section="Method", help=about)
        for name, about in method_options.HELP.items()
    ]


def given(options: dict[str, Any]) -> dict[str, Any]:
    """The fields that the command line names."""
    return {name: value for name, value in options.items() if value not in (None, ())}


def _field_option(name: str, shown: Any) -> click.Option:
    field = recipe.Recipe.model_fields[name]
    kind, choices, _ = recipe.form(name)
    flag = _FLAGS.get(name, name.replace("_", "-"))
    usual = " ".join(shown or ["none"]) if kind is tuple else str(shown).lower()
    extra: Any = field.json_schema_extra
    about = {"help": f"{field.description} [{usual}]", "section": extra["group"], "default": None}
    if kind is bool:
        return Option([f"--{flag}/--no-{flag}"], **about)
    metavar = f"[{'|'.join(choices)}]" if choices else _METAVARS.get(name, _METAVARS[kind])
    about["shell_complete"] = completion.of_field(name)
    return Option([f"--{flag}", name], type=str, metavar=metavar, multiple=kind is tuple, **about)
