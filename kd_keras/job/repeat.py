"""`kdk train --repeat RUN`: runs a recipe again in a new folder and compares the two runs."""

import io
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kd_keras import files
from kd_keras.job import train
from kd_keras.job.recipe import recipe_files
from kd_keras.job.run_folders import provenance, run_state
from kd_keras.job.run_folders.run_state import RunState
from kd_keras.results.metrics import main_score
from kd_keras.results.phase_names import display_name
from kd_keras.results.run_files import score_files
from kd_keras.results.terminal import table
from kd_keras.results.terminal.screen import Screen

NAME = "repeat.json"
_MAX_DIFFERENCES = 10  # differences of the two provenances


def repeat(
    run: str,
    *,
    folder: str | None = None,
    export_dir: str = "saved_models",
    verify: bool = False,
    screen: Screen | None = None,
) -> dict[str, Any]:
    """Runs the recipe of a finished run again; says whether it came out the same.

    Args:
        run: name or path of the finished run.
        folder: name or path of the new run folder; None: that of the run with "-repeat" behind it.
        export_dir, verify, screen: as for `train.run`.

    Returns:
        "run" and "repeat" (paths), "same" (whether all weights and scores are equal to the bit),
        "models" (by phase: "same", "weights" and "scores", their largest absolute differences, and
        "top1" of both) and "differences" (of the two provenances, one line each). The same is in
        `repeat.json` in the new folder.

    Raises:
        ValueError, FileNotFoundError, OSError: no finished run, the new folder is the old one, or
            what `train.run` raises.
    """
    screen = screen or Screen()
    old_run = run_state.read(recipe_files.run_folder(run))
    if old_run.results is None:
        raise ValueError(
            f"the run {old_run.path} is not finished ({old_run.progress}); expected a finished "
            f"one. Continue it first: {old_run.command}"
        )
    new_folder = recipe_files.run_folder(folder) if folder else _folder_beside(old_run.path)
    if new_folder.resolve() == old_run.path.resolve():
        raise ValueError(
            f"--repeat and --run are both {old_run.path}; expected a new folder. Leave "
            "--run out, or give another."
        )
    run_path = str(new_folder) if "/" in str(new_folder) else f"./{new_folder}"
    train.run(old_run.recipe, run=run_path, export_dir=export_dir, screen=screen, verify=verify)
    comparison = compare_runs(old_run, run_state.read(new_folder))
    files.write_json(new_folder / NAME, comparison)
    _show(comparison, screen)
    return comparison


def compare_runs(first: RunState, second: RunState) -> dict[str, Any]:
    """What `repeat` returns, of two finished runs of one recipe."""
    results = [state.results or {} for state in (first, second)]
    models: dict[str, dict[str, Any]] = {}
    score = main_score.score_of_results(results[0])
    for phase in table.models(results[0]):
        paths = [state.path / f"{phase}.keras" for state in (first, second)]
        have_file = [path.is_file() for path in paths]
        weights = _difference(*map(_weights, paths)) if all(have_file) else None
        first_scores, second_scores = (
            score_files.load(state.path, phase) for state in (first, second)
        )
        score_difference = (
            None
            if first_scores is None or second_scores is None
            else _difference(first_scores, second_scores)
        )
        models[phase] = {
            "same": score_difference == 0.0 and (weights == 0.0 or not any(have_file)),
            "weights": weights,
            "scores": score_difference,
            score.key: [result[phase][score.key] for result in results],
        }
    return {
        "run": str(first.path),
        "repeat": str(second.path),
        "same": all(model["same"] for model in models.values()),
        "models": models,
        "differences": provenance.differences(first.provenance, second.provenance),
    }


def _folder_beside(path: Path) -> Path:
    return path.with_name(f"{path.name}-repeat")


def _weights(path: Path) -> np.ndarray:
    """All weights of a .keras file, one after the other, as float64."""
    arrays: dict[str, np.ndarray] = {}

    def add(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            arrays[name] = np.asarray(item, np.float64).ravel()

    with zipfile.ZipFile(path) as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content) as file:
        file.visititems(add)
    return np.concatenate([arrays[name] for name in sorted(arrays)] or [np.zeros(0)])


def _difference(first: np.ndarray, second: np.ndarray) -> float | None:
    """The largest absolute difference; None if the shapes differ."""
    if first.shape != second.shape:
        return None
    return float(np.max(np.abs(first - second), initial=0.0))


def _show(comparison: dict[str, Any], screen: Screen) -> None:
    run, new_folder = comparison["run"], comparison["repeat"]
    if comparison["same"]:
        compared_weights = [m["weights"] is not None for m in comparison["models"].values()]
        scope = "all weights and scores" if all(compared_weights) else "all scores"
        if any(compared_weights) and not all(compared_weights):
            scope = "all scores, and the weights of all models that have a file"
        screen.result(f"{new_folder} came out the same as {run}: {scope}, to the bit")
    else:
        screen.warn(f"{new_folder} did not come out the same as {run}")
    for phase, model in comparison["models"].items():
        if not model["same"]:
            score = main_score.score_of_groups([model])
            first_value, second_value = model[score.key]
            differences = f"weights {_text(model['weights'])}, scores {_text(model['scores'])}"
            screen.result(
                f"{display_name(phase)}: {score.name} {first_value:.2%} before, {second_value:.2%} "
                f"now; largest difference: {differences}"
            )
    lines = comparison["differences"]
    for line in lines[:_MAX_DIFFERENCES]:
        screen.result(f"differs: {line}")
    if not comparison["same"] and not lines:
        screen.result("the provenance of both is the same: something else decides the numbers")


def _text(difference: float | None) -> str:
    return "unknown" if difference is None else f"{difference:.2g}"
