"""Reads the state of a run from its folder, without importing Keras."""

import dataclasses
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kd_keras import files, models
from kd_keras.job import plan
from kd_keras.job.plan import PlannedModel
from kd_keras.job.recipe import recipe_files, spec
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.results import phase_names, table


@dataclasses.dataclass(frozen=True)
class RunState:
    """The state of a run folder.

    Attributes:
        path: the run folder.
        recipe: its recipe.
        results: contents of results.json, by phase; None before the run is finished.
        provenance: contents of provenance.json: data, identities of the models, versions, devices.
        progress: where an unfinished run is, in words; "" for a finished one.
    """

    path: Path
    recipe: Recipe
    results: Mapping[str, Any] | None
    provenance: Mapping[str, Any]
    progress: str

    @property
    def command(self) -> str:
        """The command that continues the run, or shows its results again."""
        return shlex.join(["kdk", "train", "--recipe", str(self.path), "--run", _as_run(self.path)])


def is_run(folder: Path) -> bool:
    """Whether a folder holds, or held, a run."""
    return any((folder / name).is_file() for name in ("recipe.json", "results.json"))


def read(folder: Path) -> RunState:
    """Reads a run folder.

    Raises:
        FileNotFoundError: no such folder, or it holds no run.
        ValueError: a file of the run cannot be read.
    """
    if not folder.is_dir():
        raise FileNotFoundError(
            f"run folder {folder} does not exist; expected the name or path of a run. `kdk runs` "
            "lists the runs."
        )
    if not is_run(folder):
        raise FileNotFoundError(
            f"{folder} is not a run folder: it has no recipe.json; expected a folder that `kdk "
            "train` made. `kdk runs` lists the runs."
        )
    recipe = recipe_files.load(folder)
    try:
        finished = results(folder, recipe)
        progress = "" if finished else _progress(folder, recipe)
        return RunState(folder, recipe, finished, _json(folder / "provenance.json"), progress)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"the run in {folder} is damaged ({error!r}); expected the files that `kdk train` "
            "wrote. Restore them, or remove the folder and train again."
        ) from error


def results(folder: Path, recipe: Recipe) -> dict[str, Any] | None:
    """The results of a finished run; None if anything that the recipe wants is missing."""
    entries = _json(folder / "results.json")
    if not entries or (recipe.baseline and entries.get("baseline", 0) is None):
        return None
    untimed = any(entries[p]["milliseconds_per_image"] is None for p in table.models(entries))
    return None if recipe.timing and untimed else entries


def _progress(folder: Path, recipe: Recipe) -> str:
    for model in plan.models(recipe):
        name = phase_names.display_name(model.phase)
        entry = _json(folder / f"{model.phase}.json")
        trained = "history" in entry and (folder / f"{model.phase}.keras").is_file()
        if _is_trained_here(model) and not trained:
            epochs = recipe.teacher_epochs if model.role == "teacher" else recipe.epochs
            return f"{name}, {_epochs(folder, model.phase)} of {epochs} epochs"
        if not entry.get("result") and _has_result(model):
            return f"{name}, to be measured"
    return "all models trained, results to be written"


def _is_trained_here(model: PlannedModel) -> bool:
    """Whether the run trains the model; a teacher may come from a file or be a cache."""
    name, _ = spec.parse(model.spec)
    return model.role != "teacher" or name in models.names() or name.startswith("app:")


def _has_result(model: PlannedModel) -> bool:
    return not model.spec.startswith("cache:")


def _epochs(folder: Path, phase: str) -> int:
    """Finished epochs of a training that did not end, from its history."""
    history = folder / f"{phase}-history.csv"
    return max(0, len(history.read_text().splitlines()) - 1) if history.is_file() else 0


def _json(path: Path) -> dict[str, Any]:
    """The object in a file; empty if there is no file."""
    if not path.is_file():
        return {}
    return files.read_json(path)


def _as_run(path: Path) -> str:
    return str(path) if len(path.parts) > 1 else f"./{path}"
