"""`kdk train`: a recipe, what the command line changes in it, and the run."""

from typing import Any

import click

from kd_keras import fields, recipe, screen
from kd_keras.cli import errors, quiet

_METAVARS = {int: "N", float: "X", str: "TEXT", tuple: "SPEC"}


class _Option(click.Option):
    """An option that `--help` lists under `section`."""

    def __init__(self, *args: Any, section: str = "Run", **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.section = section


class _Train(click.Command):
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


def _field_options() -> list[click.Option]:
    """One option for each field of a recipe; values stay text, which the recipe checks."""
    shown = recipe.load(recipe.DEFAULT).model_dump()
    return [_field_option(name, shown[name]) for name in fields.Recipe.model_fields]


def _field_option(name: str, shown: Any) -> click.Option:
    field = fields.Recipe.model_fields[name]
    kind, choices, _ = fields.form(name)
    flag = name.replace("_", "-")
    usual = " ".join(shown) if kind is tuple else str(shown).lower()
    extra: Any = field.json_schema_extra
    about = {"help": f"{field.description} [{usual}]", "section": extra["group"], "default": None}
    if kind is bool:
        return _Option([f"--{flag}/--no-{flag}"], **about)
    metavar = f"[{'|'.join(choices)}]" if choices else _METAVARS[kind]
    return _Option([f"--{flag}"], type=str, metavar=metavar, multiple=kind is tuple, **about)


def _run(
    recipe_name: str | None,
    sets: tuple[str, ...],
    run: str | None,
    export_dir: str,
    **options: Any,
) -> None:
    given = {name: value for name, value in options.items() if value not in (None, ())}
    resolved = recipe.resolve(recipe_name, given, sets)
    quiet.import_tensorflow()
    from kd_keras import train

    train.run(resolved, run=run, export_dir=export_dir, screen=screen.Screen())


command = errors.traceback_option(
    _Train(
        "train",
        callback=_run,
        help=f"""Distil a student from a teacher, measure the gain, export the student.

        What is not given comes from the recipe; in brackets, what the default recipe
        ({recipe.DEFAULT}) says. `kdk list` names data sets, models, methods and recipes.""",
        params=[
            _Option(
                ["--recipe", "recipe_name"],
                metavar="NAME|FILE",
                help=f"built-in name, .toml file, or a run's folder or recipe.json "
                f"[{recipe.DEFAULT}]",
            ),
            _Option(
                ["--set", "sets"],
                metavar="FIELD=VALUE",
                multiple=True,
                help="any field of the recipe; wins over the options below; may be repeated",
            ),
            _Option(
                ["--run"],
                metavar="NAME|PATH",
                help="the run's folder, under runs/ if a name [follows from the recipe]",
            ),
            _Option(
                ["--export-dir"],
                metavar="FOLDER",
                default="saved_models",
                help="where the SavedModel goes [saved_models]",
            ),
            *_field_options(),
        ],
    )
)
