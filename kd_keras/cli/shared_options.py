"""Options that commands share: the recipe and its fields."""

from collections.abc import Iterable
from typing import Any

import click

from kd_keras.cli import completion
from kd_keras.cli.sections import Option
from kd_keras.job.recipe import field_values, fields, method_options, old_spelling, recipe_files

# By the field's type, or by its name where the type says too little.
_METAVARS: dict[Any, str] = {
    **{int: "N", float: "X", str: "TEXT", tuple: "SPEC"},
    **{"dataset": "NAME", "data_dir": "FOLDER", "teacher_class_names": "FILE"},
    **{"ensemble_weights": "X", "imports": "MODULE", "freeze": "PATTERN"},
    **{"augment": "NAME|STEPS", "unlabelled": "DATA"},
    **{"weights": "imagenet|none|FILE", "wandb": "PROJECT", "mlflow": "EXPERIMENT"},
}
# Of options, without a warning.
_SECOND_NAMES = {"label_mode": "labels", "teacher_class_names": "teacher_classes"}
#: One sentence for every command's help.
LISTS = "Give an option again for each further value, as in --teacher A --teacher B."


def field_options(names: Iterable[str]) -> list[click.Option]:
    """One option for each of these fields; values stay text, which the recipe checks."""
    default = recipe_files.load(recipe_files.DEFAULT)
    names = list(names)
    options = [_field_option(name, getattr(default, name)) for name in names]
    old_names = [old for old, new in old_spelling.FIELDS.items() if new in names]
    return options + [_old_option(old) for old in old_names if old not in _SECOND_NAMES.values()]


def recipe_options() -> list[click.Option]:
    """Options that choose a recipe and set any of its fields."""
    return [
        Option(
            ["--recipe", "recipe_name"],
            metavar="NAME|FILE",
            shell_complete=completion.recipe_completion(),
            help="built-in name, .toml file, run folder or its recipe.json "
            f"[{recipe_files.DEFAULT}]",
        ),
        Option(
            ["--set", "sets"],
            metavar="FIELD=VALUE",
            shell_complete=completion.assignment_completion(),
            multiple=True,
            help="a field of the recipe, or temperature or kd_weight; wins over the options below",
        ),
    ]


def method_knob_options() -> list[click.Option]:
    """Options that set a knob in the recipe's method specs."""
    return [
        Option([f"--{name.replace('_', '-')}"], metavar="X", section="Method", help=help_text)
        for name, help_text in method_options.HELP.items()
    ]


def set_options(options: dict[str, Any]) -> dict[str, Any]:
    """The options that the command line sets."""
    return {name: value for name, value in options.items() if value not in (None, ())}


def _field_option(name: str, default: Any) -> click.Option:
    field = fields.Recipe.model_fields[name]
    value_type, choices, _ = fields.form(name)
    flag = field_values.option(name).removeprefix("--")
    second_flags = ["--" + _SECOND_NAMES[name].replace("_", "-")] if name in _SECOND_NAMES else []
    default_text = " ".join(default or ["none"]) if value_type is tuple else str(default).lower()
    field_facts: Any = field.json_schema_extra
    help_text = f"{field.description} [{default_text}]"
    settings = {"help": help_text, "section": field_facts["group"], "default": None}
    if value_type is bool:
        return Option([f"--{flag}/--no-{flag}"], **settings)
    metavar = f"[{'|'.join(choices)}]" if choices else _METAVARS.get(name, _METAVARS[value_type])
    settings["shell_complete"] = completion.field_completion(name)
    return Option(
        [f"--{flag}", *second_flags, name],
        type=str,
        metavar=metavar,
        multiple=value_type is tuple,
        **settings,
    )


def _old_option(old_name: str) -> click.Option:
    """An option of an earlier version, hidden; the recipe warns of the old name."""
    value_type, _, _ = fields.form(old_spelling.FIELDS[old_name])
    flag = old_name.replace("_", "-")
    if value_type is bool:
        return Option([f"--{flag}/--no-{flag}"], default=None, hidden=True)
    is_list = value_type is tuple
    return Option([f"--{flag}", old_name], type=str, multiple=is_list, default=None, hidden=True)
