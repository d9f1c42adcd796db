"""Names of groups of runs, made from what differs between their recipes."""

from collections.abc import Mapping, Sequence
from typing import Any

from kd_keras.job.recipe import recipe_files, spec
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.job.run_folders.run_state import RunState
from kd_keras.results.comparisons.comparison_lines import format_value
from kd_keras.results.terminal import table

#: Fields that may differ within a group: what they change is chance.
SEEDS = ("seed", "view_seed")
_LONGEST = 40  # characters of a name that is made from a recipe's fields


def key(recipe: Recipe) -> str:
    """A text that is equal for recipes that differ only in seeds and in what changes no result."""
    fields = recipe.model_dump(exclude={*SEEDS, *recipe_files.without_result(recipe)})
    return str(sorted(fields.items()))


def fields(recipes: Mapping[str, Recipe]) -> dict[str, dict[str, Any]]:
    """Fields whose values differ between groups: by field, each group's value.

    Args:
        recipes: a recipe of each group, by the group's name.
    """
    fields_of_runs = {name: recipe.model_dump(mode="json") for name, recipe in recipes.items()}
    fields = [name for name in Recipe.model_fields if name not in (*SEEDS, *recipe_files.NO_RESULT)]
    return {
        field: {name: values[field] for name, values in fields_of_runs.items()}
        for field in fields
        if len({str(values[field]) for values in fields_of_runs.values()}) > 1
    }


def names(students: Sequence[tuple[RunState, str]]) -> list[str]:
    """A unique name for each group: the values that differ if they are short, else the run's name.

    Args:
        students: for each group its first run and the student's phase in it.
    """
    recipes = {str(state.path): state.recipe for state, _ in students}
    differing_fields = fields(recipes)
    values = {run: _values(differing_fields, run) for run in recipes}
    longest_value = max(map(len, values.values()), default=0)
    runs_of_several = {run for run in recipes if [str(s.path) for s, _ in students].count(run) > 1}
    result = []
    for state, phase in students:
        run = str(state.path)
        student = table.model_name(phase, state.results or {}) if run in runs_of_several else ""
        run_name = values[run] if 0 < longest_value <= _LONGEST else state.path.name
        run_name = "" if len(recipes) == 1 and student else run_name
        result.append(": ".join(filter(None, [run_name, student])))
    return result if len(set(result)) == len(result) else _with_paths(students, result)


def _values(differing_fields: Mapping[str, Mapping[str, Any]], run: str) -> str:
    return ", ".join(
        _value(field, values_by_run, run) for field, values_by_run in differing_fields.items()
    )


def _value(field: str, values_by_run: Mapping[str, Any], run: str) -> str:
    """One field's value; specs without knobs if their names alone tell the groups apart.

    Args:
        field: name of the field.
        values_by_run: the field's value in each run.
        run: the run, a key of `values_by_run`.
    """
    if not isinstance(values_by_run[run], list):
        return f"{field} {format_value(values_by_run[run])}"
    short_texts = {
        run_path: " + ".join(_plain(text) for text in values_by_run[run_path])
        for run_path in values_by_run
    }
    tells_apart = len(set(short_texts.values())) == len(
        {str(value) for value in values_by_run.values()}
    )
    return short_texts[run] if tells_apart else " + ".join(map(str, values_by_run[run]))


def _plain(text: Any) -> str:
    return spec.parse(text)[0] if isinstance(text, str) else str(text)


def _with_paths(students: Sequence[tuple[RunState, str]], result: Sequence[str]) -> list[str]:
    return [
        f"{name} ({state.path})" if result.count(name) > 1 else name
        for name, (state, _) in zip(result, students, strict=True)
    ]
