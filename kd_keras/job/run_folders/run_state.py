"""Reads the state of a run from its folder, without importing Keras."""

import dataclasses
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kd_keras import check, files, models
from kd_keras.distill.callbacks import checkpoint_files
from kd_keras.distill.callbacks.checkpoint_files import Position
from kd_keras.job import plan
from kd_keras.job.plan import PlannedModel
from kd_keras.job.recipe import recipe_files, spec
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.job.run_folders.run_lock import Holder, holder
from kd_keras.results import phase_names
from kd_keras.results.run_files import checksums
from kd_keras.results.terminal import table

CHECKPOINTS = "checkpoints"
ENDS = "ends"  # a folder for the last checkpoint of each training that more epochs can follow
_MAX_BYTES = 50_000_000  # of a file whose content is checked when many runs are read


@dataclasses.dataclass(frozen=True)
class RunState:
    """The state of a run folder.

    Attributes:
        path: the run folder.
        recipe: its recipe.
        results: contents of results.json, by phase; None before the run is finished.
        provenance: contents of provenance.json: data, identities of the models, versions, devices.
        progress: where an unfinished run is, in words; "" for a finished one.
        holder: the process that works on an unfinished run now; None if none does.
    """

    path: Path
    recipe: Recipe
    results: Mapping[str, Any] | None
    provenance: Mapping[str, Any]
    progress: str
    holder: Holder | None

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
        final_results = results(folder, recipe)
        provenance = _json(folder / "provenance.json")
        if not final_results:
            progress = _progress(folder, recipe)
            return RunState(folder, recipe, None, provenance, progress, holder(folder))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"the run in {folder} is damaged ({check.fault(error)}); expected the files that `kdk "
            "train` wrote. Restore them, or remove the folder and train again."
        ) from error
    checksums.require_unchanged(folder, max_bytes=_MAX_BYTES)
    return RunState(folder, recipe, final_results, provenance, "", None)


def results(folder: Path, recipe: Recipe) -> dict[str, Any] | None:
    """The results of a finished run; None if anything that the recipe requires is missing."""
    entries = _json(folder / "results.json")
    if not entries or (recipe.baseline and entries.get("baseline", 0) is None):
        return None
    has_untimed = any(entries[p]["milliseconds_per_image"] is None for p in table.models(entries))
    return None if recipe.timing and has_untimed else entries


def is_trained(entry: Mapping[str, Any], epochs: int) -> bool:
    """Whether a phase was trained for this number of epochs, judged by its saved history.

    A finished phase has too few epochs if `--epochs` was raised later.

    Args:
        entry: what `<phase>.json` holds; empty if there is no file.
        epochs: number of epochs of the recipe.
    """
    history = entry.get("history")
    if history is None:
        return False
    has_ended = "stop_early" in entry  # in which epoch, the run itself decided
    return has_ended or max(map(len, history.values()), default=0) >= epochs


def end_position(folder: Path, phase: str) -> Position | None:
    """The position of the checkpoint that was kept of a phase's end; None if there is none.

    Args:
        folder: the run folder.
        phase: name of the phase.
    """
    positions = map(checkpoint_files.newest_position, (folder / ENDS).glob("*"))
    return next((p for p in positions if p is not None and phase in p.models), None)


def _progress(folder: Path, recipe: Recipe) -> str:
    for model in plan.models(recipe):
        name = phase_names.display_name(model.phase)
        entry = _json(folder / f"{model.phase}.json")
        epochs = recipe.teacher_epochs if model.role == "teacher" else recipe.epochs
        is_complete = is_trained(entry, epochs) and (folder / f"{model.phase}.keras").is_file()
        if _is_trained_here(model) and not is_complete:
            return f"{name}, {_progress_of_training(folder, model.phase, epochs)}"
        if not entry.get("result") and _has_result(model):
            return f"{name}, to be measured"
    return "all models trained, results to be written"


def _is_trained_here(model: PlannedModel) -> bool:
    """Whether the run trains the model; a teacher may come from a file or be a cache."""
    name, _ = spec.parse(model.spec)
    return model.role != "teacher" or name in models.names() or name.startswith("app:")


def _has_result(model: PlannedModel) -> bool:
    return not model.spec.startswith("cache:")


def _progress_of_training(folder: Path, phase: str, epochs: int) -> str:
    """How far a training that did not end is: where its checkpoint would go on.

    Args:
        folder: the run folder.
        phase: the phase that did not end.
        epochs: number of its epochs.
    """
    position = checkpoint_files.newest_position(folder / CHECKPOINTS)
    if position is None or phase not in position.models:
        position = end_position(folder, phase)
    if position is None:
        return f"0 of {epochs} epochs"
    if position.batch == position.steps_per_epoch:
        return f"{position.epoch + 1} of {epochs} epochs"
    steps = f"step {position.batch} of {position.steps_per_epoch}"
    return f"{steps} of epoch {position.epoch + 1} of {epochs}"


def _json(path: Path) -> dict[str, Any]:
    """The object in a file; empty if there is no file."""
    if not path.is_file():
        return {}
    return files.read_json(path)


def _as_run(path: Path) -> str:
    return str(path) if len(path.parts) > 1 else f"./{path}"
