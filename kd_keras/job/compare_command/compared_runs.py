"""Reads the runs to compare; raises ValueError for runs that cannot be compared."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras.data.stores import hashed_arrays
from kd_keras.job.recipe import recipe_files
from kd_keras.job.run_folders import run_state
from kd_keras.job.run_folders.run_state import RunState
from kd_keras.results import phase_names
from kd_keras.results.comparisons.comparison import MEGABYTES, MILLISECONDS, Model
from kd_keras.results.phase_names import BASELINE, STUDENT
from kd_keras.results.report import samples
from kd_keras.results.run_files import score_files
from kd_keras.results.terminal import table


def read(runs: Sequence[str | Path]) -> list[RunState]:
    """Reads finished runs that were measured on the same validation images.

    Args:
        runs: names or paths of run folders.

    Raises:
        FileNotFoundError: a folder does not exist or holds no run.
        ValueError: a run is not finished or given twice, there is nothing to compare, or the
            validation images differ.
    """
    states = [run_state.read(folder_of(run)) for run in runs]
    _refuse_repeated_runs(states)
    unfinished_states = [state for state in states if state.results is None]
    if unfinished_states:
        lines = [f"{state.path} ({state.progress}): {state.command}" for state in unfinished_states]
        raise ValueError(
            "runs are not finished; expected finished ones. Continue them, or leave them out:\n  "
            + "\n  ".join(lines)
        )
    students = [phase for state in states for phase in phases(state, STUDENT)]
    if len(students) < 2:
        what = f"the run {states[0].path} with one student" if states else "none"
        raise ValueError(f"there is {what} to compare; expected two runs or more. Give another.")
    _refuse_different_data(states)
    return states


def folder_of(run: str | Path) -> Path:
    """The folder of a run's name or path; a folder here that is a run counts before a name."""
    path = Path(run).expanduser()
    return path if run_state.is_run(path) else recipe_files.run_folder(str(run))


def phases(state: RunState, role: str) -> list[str]:
    """The phases of a finished run whose models have a role."""
    results = state.results or {}
    return [p for p in table.models(results) if phase_names.role(p, results) == role]


def model(state: RunState, phase: str, labels: np.ndarray) -> Model:
    """A model of a run, with the images that it predicts correctly.

    Args:
        state: a finished run.
        phase: the model's phase.
        labels: (N,) int labels of the validation images; (N, C) of multi-label data.

    Raises:
        ValueError: its predictions are missing or not of these images.
    """
    results: Any = state.results
    entry = results[phase]
    baselines = [
        baseline
        for baseline in phases(state, BASELINE)
        if phase_names.role(phase, results) == STUDENT
        and results[baseline].get("spec") == entry.get("spec")
    ]
    times = entry["milliseconds_per_image"] or {}
    return Model(
        run=str(state.path),
        phase=phase,
        seed=state.recipe.seed,
        correct=samples.correct(_predictions(state, phase, labels.shape), labels),
        parameters=entry["parameters"],
        costs={
            MILLISECONDS: times.get("batch1"),
            MEGABYTES: (entry.get("export") or {}).get("megabytes"),
        },
        architecture=entry.get("architecture"),
        alone=model(state, baselines[0], labels) if baselines else None,
        answers=(labels, _scores(state, phase)) if labels.ndim == 2 else None,
    )


def labels_of(states: Sequence[RunState]) -> np.ndarray:
    """(N,) int or (N, C): the labels of the validation images, which all runs share.

    Raises:
        ValueError: no run has them, since an earlier version made it, and the data changed.
    """
    for state in states:
        labels = score_files.load_labels(state.path)
        if labels is not None:
            return labels
    return _labels_of_data(states[0])


def _labels_of_data(state: RunState) -> np.ndarray:
    from kd_keras.job.images import dataset
    from kd_keras.results.terminal.screen import Screen

    dataset_now = dataset.load(state.recipe, Screen(quiet=True))
    if dataset_now.fingerprint != state.provenance.get("data"):
        raise ValueError(
            f"the run {state.path} has no labels, since an earlier version made it, and the "
            "dataset "
            f"{state.recipe.dataset} has changed since; expected the data of the run. Train it "
            "again."
        )
    return dataset_now.validation.labels


def _scores(state: RunState, phase: str) -> np.ndarray:
    logits = score_files.load(state.path, phase)
    if logits is None:
        raise ValueError(
            f"the scores of {phase} in {state.path} cannot be read; expected the file that `kdk "
            "train` wrote. Restore it, or train the run again."
        )
    return logits


def _predictions(state: RunState, phase: str, shape: tuple[int, ...]) -> np.ndarray:
    """The saved predictions of a model; raises ValueError if they are damaged.

    Args:
        state: state of the run.
        phase: phase of the model.
        shape: expected shape.
    """
    path = state.path / f"{phase}-predictions.npy"
    try:
        predictions = hashed_arrays.load(path)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(
            f"{path} cannot be read ({error}); expected the classes that the model predicted. "
            "Restore the file, or train the run again."
        ) from error
    if predictions.shape != shape:
        raise ValueError(
            f"{path} has shape {predictions.shape}; expected {shape}, the answers for each "
            "validation image. Restore the file, or train the run again."
        )
    return np.asarray(predictions)


def _refuse_repeated_runs(states: Sequence[RunState]) -> None:
    given_paths: dict[Path, Path] = {}
    for state in states:
        earlier_path = given_paths.setdefault(state.path.resolve(), state.path)
        if earlier_path is not state.path:
            other_name = "" if earlier_path == state.path else f", also as {earlier_path}"
            raise ValueError(
                f"the run {state.path} is given twice{other_name}; expected different runs. Leave "
                "one out."
            )


def _refuse_different_data(states: Sequence[RunState]) -> None:
    states_by_data: dict[str, list[RunState]] = {}
    for state in states:
        states_by_data.setdefault(str(state.provenance.get("data")), []).append(state)
    if len(states_by_data) > 1:
        lines = [
            f"{_data(group[0])} (fingerprint {fingerprint}): "
            + ", ".join(str(state.path) for state in group)
            for fingerprint, group in states_by_data.items()
        ]
        raise ValueError(
            "the runs have different data, so their accuracies cannot be compared; expected runs "
            "with the same validation images. Compare these apart:\n  " + "\n  ".join(lines)
        )


def _data(state: RunState) -> str:
    recipe, defaults = state.recipe, type(state.recipe)()
    fields = (
        "image_size",
        "store_size",
        "eval_crop",
        "resize",
        "flip",
        "val_fraction",
        "validate_on_holdout",
    )
    changed_settings = [
        f"{name} {getattr(recipe, name)}"
        for name in fields
        if getattr(recipe, name) != getattr(defaults, name)
    ]
    return ", ".join([recipe.dataset, *changed_settings])
