"""The run folder: its recipe, its finished phases and their results."""

import contextlib
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kd_keras import check, files
from kd_keras.data.stores import hashed_arrays
from kd_keras.exports import saved_model
from kd_keras.job.recipe import old_spelling, recipe_files
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.job.run_folders import provenance, run_state
from kd_keras.job.run_folders.run_lock import RunLock
from kd_keras.results import phase_names
from kd_keras.results.run_files import checksums, score_files

_REMEDY = "Remove it, and run the command again: what it held is made again."
# TensorFlow keeps extra files of a SavedModel in this folder.
_EXPORTED_BY = Path("assets.extra") / "run.txt"
# Files of a finished run that must not change.
_RUN_FILES = ("recipe.json", "data.json", score_files.LABELS)
_PHASE_SUFFIXES = (".json", ".keras", "-predictions.npy", "-scores.npy")


class RunFolder:
    """`runs/<name>/`, created when the first file is written to it.

    Args:
        recipe: the recipe of the run.
        run: name or path of the run; None takes the name that follows from the recipe.
        more_epochs: accept a run that differs by its epochs only.

    Raises:
        ValueError: the folder holds a run of a different recipe.
    """

    def __init__(self, recipe: Recipe, run: str | None = None, *, more_epochs: bool = False):
        self.path = recipe_files.run_folder(run) if run else recipe_files.own_run_folder(recipe)
        self.name = self.path.name
        self.recipe = recipe
        self.lock = RunLock(self.path)
        self._more_epochs = more_epochs
        self._check_same_recipe()

    def start(self, facts: dict[str, Any]) -> None:
        """Makes the folder with its recipe and its provenance.

        Raises:
            ValueError: the folder's phases have other data, models, precision or devices, or
                another process works in it.
        """
        self.check_same_provenance(facts)
        self.path.mkdir(parents=True, exist_ok=True)
        self.lock.take()
        (self.path / checksums.NAME).unlink(missing_ok=True)  # what follows may change files
        if self._more_epochs:
            (self.path / "results.json").unlink(missing_ok=True)
        files.write_json(self.path / "recipe.json", self.recipe.model_dump())
        old_outputs = provenance.read(self.path).get(provenance.TEACHER_OUTPUTS)
        outputs = {provenance.TEACHER_OUTPUTS: old_outputs} if old_outputs else {}
        facts = facts | outputs | provenance.of_this_machine()
        files.write_json(self.path / provenance.NAME, facts)

    def results(self) -> dict[str, Any] | None:
        """The results of a finished run; None if anything that the recipe requires is missing.

        Raises:
            ValueError: a file of the finished run has changed since, or is missing.
        """
        if not (self.path / "results.json").is_file():
            return None
        checksums.require_unchanged(self.path)
        try:
            return run_state.results(self.path, self.recipe)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{self.path / 'results.json'} is damaged ({check.fault(error)}); expected what "
                "`kdk train` wrote. Restore it; or remove it and run the same command again: what "
                "is trained stays."
            ) from error

    def write_results(self, results: dict[str, Any]) -> None:
        """Writes `results.json`, which marks the run as finished, after checksums of its files."""
        self.require_present()
        path, text = self.path / "results.json", files.as_json(results)
        path.unlink(missing_ok=True)  # the checksums of an earlier one go
        phases = [phase for phase in results if self.read(phase)]
        checksums.write(
            self.path,
            [*_RUN_FILES, *(f"{phase}{suffix}" for phase in phases for suffix in _PHASE_SUFFIXES)],
            {path.name: text},
        )
        with files.atomic_write(path) as new_path:
            new_path.write_text(text, encoding="utf-8")

    def require_present(self) -> None:
        """Raises FileNotFoundError if the folder, or its recipe, was removed under the run."""
        self.lock.require_folder()
        if self.lock.is_held and not (self.path / "recipe.json").is_file():
            raise FileNotFoundError(
                f"recipe.json of the run folder {self.path} was removed while the run was writing "
                "into it. Leave the folder as it is, and run the same command again."
            )

    def check_same_provenance(self, facts: dict[str, Any]) -> None:
        """Raises ValueError if the folder's provenance differs from these facts."""
        path = self.path / "provenance.json"
        entries = files.read_json(path, remedy=_REMEDY) if path.is_file() else {}
        old_facts = old_spelling.present_provenance(entries)
        changed_names = [name for name in facts if old_facts.get(name, facts[name]) != facts[name]]
        if changed_names:
            raise ValueError(
                f"run folder {self.path} was made with a different {' and '.join(changed_names)}; "
                "expected the same. Choose another name with --run, or remove the folder."
            )

    def model_file(self, phase: str) -> Path:
        return self.path / f"{phase}.keras"

    def read(self, phase: str) -> dict[str, Any]:
        """What is saved about a phase beside its model, by name; empty before it is finished."""
        path = self.path / f"{phase}.json"
        return files.read_json(path, remedy=_REMEDY) if path.is_file() else {}

    def update(self, phase: str, **entries: Any) -> None:
        """Adds entries to what is saved about a phase."""
        self.require_present()
        files.write_json(self.path / f"{phase}.json", self.read(phase) | entries)

    def history(self, phase: str) -> dict[str, list[float]] | None:
        """History of a finished phase, whose model is in `model_file`; None before that."""
        return self.read(phase).get("history") if self.model_file(phase).is_file() else None

    def is_trained(self, phase: str) -> bool:
        """Whether a phase is finished, with as many epochs as the recipe says."""
        is_teacher = phase.partition("-")[0] == phase_names.TEACHER
        epochs = self.recipe.teacher_epochs if is_teacher else self.recipe.epochs
        return self.model_file(phase).is_file() and run_state.is_trained(self.read(phase), epochs)

    def save(
        self,
        phase: str,
        model: keras.Model,
        history: dict[str, list[float]],
        seconds: float,
        **facts: Any,
    ) -> None:
        """Saves a phase's model, then its history, time and facts, which mark it as finished.

        Args:
            phase: the phase.
            model: the model to save.
            history: values of each log, one for each epoch.
            seconds: time of the training.
        """
        self.require_present()
        (self.path / f"{phase}.json").unlink(missing_ok=True)  # it describes an earlier model
        saved_model.keras_file(model, self.model_file(phase))
        self.update(phase, history=history, training_seconds=seconds, **facts)

    def check_export(self, export: Path) -> None:
        """Raises ValueError if an export to `export` would replace something else.

        That is the run folder, or the student of another run whose folder still exists.
        """
        if self.path.resolve().is_relative_to(export.resolve()):
            raise ValueError(
                f"the student's SavedModel goes to {export} and would replace the run folder "
                f"{self.path}; expected two different folders. Choose another with --export-dir, "
                "or another name with --run."
            )
        mark = export / _EXPORTED_BY
        owner = Path(mark.read_text()) if mark.is_file() else self.path.resolve()
        if owner != self.path.resolve() and (owner / "recipe.json").is_file():
            raise ValueError(
                f"{export} holds the student of the run {owner}; expected a folder of its own "
                f"for that of {self.path}. Choose another with --export-dir, or another name with "
                "--run."
            )

    def sign_export(self, export: Path) -> None:
        """Writes the path of this run into an export."""
        with files.atomic_write(export / _EXPORTED_BY) as new_path:
            new_path.write_text(str(self.path.resolve()))

    def save_scores(self, phase: str, logits: np.ndarray, *, multi_label: bool = False) -> None:
        """Saves the logits of each validation image, (N, C) float, in order: `score_files.save`.

        Args:
            phase: the phase.
            logits: (N, C) float.
            multi_label: whether an image may have several classes.
        """
        score_files.save(self.path, phase, logits, multi_label=multi_label)

    def scores(self, phase: str) -> np.ndarray | None:
        """The logits that `save_scores` saved, (N, C) float32; None if there are none."""
        return score_files.load(self.path, phase)

    def is_measured(self, phase: str) -> bool:
        """Whether the phase has a result, and its scores and predictions are what was saved."""
        if not self.read(phase).get("result") or self.scores(phase) is None:
            return False
        with contextlib.suppress(OSError, ValueError):
            return len(self.predictions(phase)) > 0
        return False

    def save_predictions(self, phase: str, predictions: np.ndarray) -> None:
        """Saves the class predicted for each validation image, (N,) int, in order.

        Of multi-label data, (N, C) of 0 and 1.
        """
        self.require_present()
        hashed_arrays.save(self.path / f"{phase}-predictions.npy", predictions)

    def predictions(self, phase: str) -> np.ndarray:
        """The classes that `save_predictions` saved, (N,) int."""
        return hashed_arrays.load(self.path / f"{phase}-predictions.npy")

    def agreement(self, phase: str, teacher_phase: str) -> float | None:
        """Share, 0 to 1, of the validation images for which two deployed models predict one class.

        None if the predictions of one of them are not saved.
        """
        paths = [self.path / f"{name}-predictions.npy" for name in (phase, teacher_phase)]
        if not all(path.is_file() for path in paths):
            return None
        return float(np.mean(self.predictions(phase) == self.predictions(teacher_phase)))

    def _check_same_recipe(self) -> None:
        if not (self.path / "recipe.json").is_file():
            self._check_empty()
            return
        lines = recipe_files.difference(recipe_files.load(self.path), self.recipe)
        ignored_fields = recipe_files.without_result(self.recipe)
        differences = {line.partition(":")[0]: line for line in lines}
        differences = {
            name: line for name, line in differences.items() if name not in ignored_fields
        }
        only_epochs = [*differences] == ["epochs"]
        if differences and not (only_epochs and self._more_epochs):
            continue_advice = "give --continue to train for more epochs, " if only_epochs else ""
            raise ValueError(
                f"run folder {self.path} holds a run of a different recipe "
                f"({'; '.join(differences.values())}); expected the same one. Choose another name "
                f"with --run, {continue_advice}or remove the folder."
            )

    def _check_empty(self) -> None:
        """Raises ValueError if a folder without a recipe holds results of one."""
        results = [*self.path.glob("*.keras"), *self.path.glob("results.json")]
        if results:
            raise ValueError(
                f"run folder {self.path} holds {min(results).name} alone; expected recipe.json "
                "too, which says what it was trained by. Restore recipe.json, choose another name "
                "with --run, or remove the folder."
            )
