"""Recipes in files: loaded by name or path, changed by options, written as JSON, named."""

import hashlib
import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kd_keras import check, files
from kd_keras.job.recipe import method_options, old_spelling, spec
from kd_keras.job.recipe.fields import Recipe, form, renamed_fields

__all__ = [
    *("DEFAULT", "Recipe", "describe", "difference", "explain", "from_json", "load", "names"),
    *("parse_spec", "resolve", "run_folder", "run_name", "to_json"),
]

DEFAULT = "tiny_imagenet"
RUNS = Path("runs")
# Fields that change no phase's result. Two runs that differ only in these are one run.
NO_RESULT = (
    *("allow_weak_teacher", "baseline", "cache", "checkpoint_minutes", "data_dir", "log_every"),
    *("max_pixels", "mlflow", "timing", "validate_teacher", "wandb"),
)
parse_spec = spec.parse

_BUILT_IN = Path(__file__).parent / "built_in"
# Fields that describe the teacher, beside `teacher` itself.
_TEACHER_FIELDS = (
    "ensemble_weights",
    "teacher_preprocess",
    "teacher_image_size",
    "teacher_class_names",
)


def names() -> tuple[str, ...]:
    """Names of the built-in recipes, sorted."""
    return tuple(sorted(file.stem for file in _BUILT_IN.glob("*.toml")))


def explain(name: str) -> str:
    """The file of a built-in recipe, whose head says what it shows, on what and how long."""
    name = old_spelling.renamed_recipe(name)
    check.one_of("recipe", name, names(), remedy="A file is given by its path, as ./mine.toml.")
    return (_BUILT_IN / f"{name}.toml").read_text(encoding="utf-8")


def describe(name: str) -> str:
    """A built-in recipe in one line."""
    return explain(name).splitlines()[0].lstrip("# ")


def load(name_or_path: str | os.PathLike[str]) -> Recipe:
    """The recipe of a built-in name, a .toml file, a run folder or its recipe.json.

    The recipe's `model_fields_set` names the fields that a person chose: all fields in a file, no
    field of a built-in recipe. Others may be adjusted to the data: see `job.images.adjustment`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: unknown name (with the nearest), a file that does not parse, a wrong field.
    """
    path = Path(name_or_path)
    known_names = (*names(), *old_spelling.RECIPES)
    is_name = isinstance(name_or_path, str) and name_or_path in known_names  # a Path is none
    if is_name or not (path.suffix in (".toml", ".json") or path.is_dir()):
        return _with_fields_set(Recipe(**tomllib.loads(explain(str(name_or_path)))), set())
    path = path / "recipe.json" if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(
            f"recipe file {str(path)!r} does not exist; expected a .toml file, a run's folder or "
            f"recipe.json, or one of: {', '.join(names())}. Check the path."
        )
    try:
        return method_options.from_fields(_read_fields(path))
    except ValueError as error:
        raise ValueError(f"recipe file {str(path)!r}: {error}") from None


def _read_fields(path: Path) -> dict[str, Any]:
    files.require_regular(path)
    text = path.read_text(encoding="utf-8")
    try:
        fields = (tomllib.loads if path.suffix == ".toml" else json.loads)(text)
    except RecursionError:
        raise ValueError("it is nested too deeply; expected fields and their values.") from None
    if not isinstance(fields, dict):
        raise ValueError(f"it holds {fields!r}; expected fields and their values.")
    return fields


def resolve(
    recipe: str | os.PathLike[str] | Recipe | None = None,
    overrides: Mapping[str, Any] | None = None,
    sets: Sequence[str] = (),
    *,
    teacher_from: str | None = None,
) -> Recipe:
    """The recipe (`DEFAULT` if None) with fields replaced by `overrides`, then by `sets`.

    `temperature` and `kd_weight` are not fields: they set knobs of the first method, see
    `method_options`. Fields that are set here count as chosen, with those of `recipe` (see `load`),
    except for a dataset that is the recipe's own, which needs no adjustment.

    Args:
        recipe: a Recipe, or what `load` takes.
        overrides: field to value.
        sets: texts "field=value"; a dash in the field counts as an underscore.
        teacher_from: name or path of a finished run, whose student becomes the teacher. Without
            `recipe`, that run's recipe is used.

    Raises:
        FileNotFoundError: `teacher_from` is not a finished run.
        ValueError: a wrong field, or `teacher_from` together with a teacher or without a method.
    """
    options = renamed_fields(overrides or {}) | renamed_fields(_assignments(sets))
    if teacher_from is not None:
        recipe, options = _with_teacher_run(teacher_from, recipe, options)
    base = recipe if isinstance(recipe, Recipe) else load(recipe or DEFAULT)
    knobs, fields = method_options.split(options)
    new_recipe = Recipe(**{**base.model_dump(), **fields})
    # A spec that is given beside these options is the more particular, so its own knobs stay.
    new_recipe = method_options.apply_knobs(new_recipe, knobs, replace="method" not in fields)
    changed_fields = {
        name for name in options if name != "dataset" or options[name] != base.dataset
    }
    new_recipe = _with_fields_set(new_recipe, base.model_fields_set | changed_fields)
    if teacher_from is not None and new_recipe.method == ("none",):
        raise ValueError(
            f"--teacher-from is {teacher_from!r} and the method none, plain training; expected a "
            "method to learn by. Give one, such as --method kd."
        )
    return new_recipe


def _with_fields_set(recipe: Recipe, fields: set[str]) -> Recipe:
    """The same recipe with `fields` as its `model_fields_set`."""
    return Recipe.model_construct(_fields_set=set(fields), **dict(recipe))


def _with_teacher_run(run: str, recipe: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The recipe and options of a run whose teacher is the student of another run.

    Args:
        run: name or folder of the run whose student is the teacher.
        recipe: name, file or Recipe; None: that of the run.
        options: options by field, which have priority.
    """
    folder = run_folder(run)
    student = folder / "student.keras"
    if not (student.is_file() and (folder / "results.json").is_file()):
        state = "is not finished" if folder.is_dir() else "does not exist"
        if (folder / "student-1.keras").is_file() and (folder / "results.json").is_file():
            raise ValueError(
                f"--teacher-from is {run!r}, a run of several students; expected a run of one "
                f"student. Choose one, such as --teacher {folder / 'student-1.keras'}."
            )
        finished_runs = sorted(path.parent.name for path in RUNS.glob("*/results.json"))
        raise FileNotFoundError(
            f"--teacher-from is {run!r}, and the run folder {folder} {state}; expected a finished "
            f"run, by its name or path (in {RUNS}: {', '.join(finished_runs) or 'none'}). Run its "
            "command until it shows its results."
        )
    if "teacher" in options:
        raise ValueError(
            f"--teacher-from {run} and --teacher are both given; expected one of them. To learn "
            f"from both, leave --teacher-from out and give --teacher {student} as well."
        )
    changes: dict[str, Any] = {"teacher": str(student), **dict.fromkeys(_TEACHER_FIELDS)}
    if recipe is None:
        recipe, changes = folder, {**changes, "assistants": (), "generations": 1}
    return recipe, {**changes, **options}


def _assignments(sets: Sequence[str]) -> dict[str, Any]:
    """Values by field; a list that is set several times has all of the values."""
    values: dict[str, Any] = {}
    for text in sets:
        field, _, value = (side.strip() for side in text.partition("="))
        if not field or not value:
            raise ValueError(f"--set is {text!r}; expected FIELD=VALUE, such as --set epochs=10.")
        field = field.replace("-", "_")
        current_name = old_spelling.FIELDS.get(field, field)
        is_list = current_name in Recipe.model_fields and form(current_name)[0] is tuple
        values[field] = [*values.get(field, ()), value] if is_list else value
    return values


def to_json(recipe: Recipe) -> str:
    """All fields as JSON text; `from_json` gives back an equal recipe."""
    return json.dumps(recipe.model_dump(), indent=2, ensure_ascii=False) + "\n"


def from_json(text: str) -> Recipe:
    """The recipe that `to_json` wrote."""
    return method_options.from_fields(json.loads(text))


def has_applications(recipe: Recipe) -> bool:
    """Whether any model is one of `keras.applications`, which alone read `weights`."""
    specs = (*recipe.teacher, *recipe.assistants, *recipe.student)
    return any(text.startswith("app:") for text in specs)


def without_result(recipe: Recipe) -> set[str]:
    """Fields that change no phase's result: `NO_RESULT`, and `weights` if no model reads them."""
    return {*NO_RESULT, *(() if has_applications(recipe) else ("weights",))}


def run_folder(run: str) -> Path:
    """The folder of a run: `run` itself if it is a path, else a folder of that name in `RUNS`."""
    return Path(run).expanduser() if "/" in run else RUNS / run


def own_run_folder(recipe: Recipe) -> Path:
    """The folder of a run without a name of its own; that of an earlier version, if there is one.

    An interrupted run is thus continued by the same command.
    """
    folder, earlier_folder = RUNS / run_name(recipe), RUNS / run_name(recipe, earlier=True)
    return earlier_folder if earlier_folder.is_dir() and not folder.is_dir() else folder


def run_name(recipe: Recipe, *, earlier: bool = False) -> str:
    """A run's folder name: data, student, methods and a hash of the fields that matter.

    Those are the fields that change the result and differ from their defaults.

    Args:
        recipe: the recipe of the run.
        earlier: the name that an earlier version gave the run, see `old_spelling`.
    """
    defaults = Recipe().model_dump()
    fields = recipe.model_dump(exclude=without_result(recipe)).items()
    changed_fields = {name: value for name, value in fields if value != defaults[name]}
    students: Sequence[str] = recipe.student
    if earlier:
        changed_fields = old_spelling.earlier_fields(changed_fields)
        students = old_spelling.earlier_fields({"student": recipe.student})["student"]
    content = json.dumps(changed_fields, sort_keys=True)
    methods = "+".join(spec.parse(text)[0] for text in recipe.method)
    names = (recipe.dataset, *(spec.parse(text)[0] for text in students), methods)
    # What follows the last slash or colon: folder:/a/pets is pets, app:MobileNetV2 is MobileNetV2.
    short_names = [
        re.split(r"[/\\:]", name.rstrip("/\\:"))[-1].removesuffix(".keras") for name in names
    ]
    readable_name = re.sub(r"[^\w.+-]", "_", "-".join(short_names))[:80]
    return f"{readable_name}-{hashlib.sha256(content.encode()).hexdigest()[:6]}"


def difference(a: Recipe, b: Recipe) -> list[str]:
    """A text "field: value of a -> value of b" for each field that differs."""
    fields_of_a, fields_of_b = json.loads(to_json(a)), json.loads(to_json(b))
    return [
        f"{name}: {fields_of_a[name]!r} -> {fields_of_b[name]!r}"
        for name in fields_of_a
        if fields_of_a[name] != fields_of_b[name]
    ]
