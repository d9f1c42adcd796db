"""Epochs that are added to a finished run, so that it ends as if it had them from the start."""

from collections.abc import Iterable
from pathlib import Path

from kd_keras.job import plan
from kd_keras.job.models import build
from kd_keras.job.recipe import recipe_files
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.job.run_folders import run_state
from kd_keras.job.run_folders.run_folder import RunFolder


def end_of(recipe: Recipe, folder: Path, phases: Iterable[str]) -> Path | None:
    """Folder of the last checkpoint of phases that train side by side; None if it is not kept.

    Args:
        recipe: the run's recipe.
        folder: the run folder.
        phases: names of the phases.
    """
    first = next(iter(phases))
    may_go_on = first in {model.phase for model in _learners(recipe)} and not obstacle(recipe)
    return folder / run_state.ENDS / first if may_go_on else None


def obstacle(recipe: Recipe) -> str:
    """What makes a run with more epochs differ from the start; "" if nothing does."""
    if recipe.schedule != "constant":
        return f"its schedule is {recipe.schedule}, whose learning rates depend on the last epoch"
    if recipe.stop_early:
        return "it stops early, by itself"
    if recipe.assistants or recipe.generations > 1:
        return "its students learn from models that would be trained for more epochs too"
    changing_methods = [
        method.name for method in build.make_methods(recipe.method) if method.needs_progress
    ]
    if changing_methods:
        return f"its loss changes over the run (method {', '.join(changing_methods)})"
    return ""


def check(folder: RunFolder) -> bool:
    """Whether the new recipe of a run adds epochs to it.

    Raises:
        FileNotFoundError: the folder holds no run.
        ValueError: the run cannot go on to the epochs of the new recipe.
    """
    recipe, old_recipe = folder.recipe, recipe_files.load(folder.path)
    if recipe.epochs < old_recipe.epochs:
        raise ValueError(
            f"--epochs is {recipe.epochs} and run {folder.path} has {old_recipe.epochs}; expected "
            "more with --continue."
        )
    if recipe.epochs == old_recipe.epochs:
        return False
    if reason := obstacle(recipe):
        raise ValueError(
            f"run {folder.path} cannot go on to epoch {recipe.epochs}: {reason}; expected a recipe "
            f"in which nothing depends on the number of epochs. Train a new run of {recipe.epochs} "
            "epochs: leave --continue out, and choose another name with --run."
        )
    for model in _learners(recipe):
        is_due = not run_state.is_trained(folder.read(model.phase), recipe.epochs)
        was_trained = folder.history(model.phase) is not None
        if is_due and was_trained and not run_state.end_position(folder.path, model.phase):
            raise ValueError(
                f"run {folder.path} cannot go on: it has no checkpoint of the end of the "
                f"{model.phase}; expected a run of a version that keeps one. Train a new run of "
                f"{recipe.epochs} epochs, with another name (--run)."
            )
    return True


def _learners(recipe: Recipe) -> list[plan.PlannedModel]:
    return [*(plan.baselines(recipe) if recipe.baseline else []), *plan.students(recipe)]
