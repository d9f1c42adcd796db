"""The run folder: what was asked for, which phases are finished, and what they gave."""

import json
import platform
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kd_keras import files
from kd_keras.exports import saved_model
from kd_keras.job import recipe_files, versions
from kd_keras.job.recipe_files import Recipe
from kd_keras.results import table

# Where TensorFlow keeps a SavedModel's files that are not its own.
_EXPORTED_BY = Path("assets.extra") / "run.txt"


class RunFolder:
    """`runs/<name>/`, made when the first thing is written to it.

    Args:
        asked: the recipe of the run.
        run: its name or path; None takes the name that follows from the recipe.

    Raises:
        ValueError: the folder holds a run of another recipe.
    """

    def __init__(self, asked: Recipe, run: str | None = None):
        self.path = recipe_files.run_folder(run or recipe_files.run_name(asked))
        self.name = self.path.name
        self.recipe = asked
        self._check_same_recipe()

    def start(self, facts: dict[str, Any]) -> None:
        """Makes the folder with its recipe and its provenance.

        Raises:
            ValueError: the folder's phases came of other facts (data, models, precision).
        """
        self.check_same_facts(facts)
        self.path.mkdir(parents=True, exist_ok=True)
        files.write_json(self.path / "recipe.json", self.recipe.model_dump())
        files.write_json(self.path / "provenance.json", facts | _versions())

    def results(self) -> dict[str, Any] | None:
        """What a finished run gave; None of one that lacks a part of what the recipe wants."""
        path = self.path / "results.json"
        found = json.loads(path.read_text()) if path.is_file() else None
        if found is None or (self.recipe.baseline and found.get("baseline", 0) is None):
            return None
        untimed = any(
            found[model]["milliseconds_per_image"] is None for model in table.models(found)
        )
        return None if self.recipe.timing and untimed else found

    def check_same_facts(self, facts: dict[str, Any]) -> None:
        """Raises ValueError where the folder's provenance says otherwise."""
        path = self.path / "provenance.json"
        before = json.loads(path.read_text()) if path.is_file() else {}
        differing = [name for name in facts if before.get(name, facts[name]) != facts[name]]
        if differing:
            raise ValueError(
                f"run folder {self.path} was made with another {' and '.join(differing)} than is "
                "there now. Choose another name with --run, or remove the folder."
            )

    def model_file(self, phase: str) -> Path:
        return self.path / f"{phase}.keras"

    def kept(self, phase: str) -> dict[str, Any]:
        """What is kept of a phase beside its model, by name; empty at first."""
        path = self.path / f"{phase}.json"
        return json.loads(path.read_text()) if path.is_file() else {}

    def keep(self, phase: str, **more: Any) -> None:
        """Adds to what is kept of a phase."""
        files.write_json(self.path / f"{phase}.json", self.kept(phase) | more)

    def finished(self, phase: str) -> dict[str, list[float]] | None:
        """History of a finished phase, whose model is in `model_file`; None if it is not."""
        return self.kept(phase).get("history") if self.model_file(phase).is_file() else None

    def finish(
        self, phase: str, model: keras.Model, history: dict[str, list[float]], seconds: float
    ) -> None:
        """Keeps a phase's model, then the mark that it is finished, with the time it took."""
        (self.path / f"{phase}.json").unlink(missing_ok=True)  # it tells of another model
        saved_model.keras_file(model, self.model_file(phase))
        self.keep(phase, history=history, training_seconds=seconds)

    def check_export(self, exported: Path) -> None:
        """Raises ValueError where an export to `exported` would replace what must stay.

        That is the run folder, or the student of another run that is still there.
        """
        if self.path.resolve().is_relative_to(exported.resolve()):
            raise ValueError(
                f"the student's SavedModel goes to {exported} and would replace the run folder "
                f"{self.path}; expected two different folders. Choose another with --export-dir, "
                "or another name with --run."
            )
        mark = exported / _EXPORTED_BY
        other = Path(mark.read_text()) if mark.is_file() else self.path.resolve()
        if other != self.path.resolve() and (other / "recipe.json").is_file():
            raise ValueError(
                f"{exported} holds the student of the run {other}; expected a folder of its own "
                f"for that of {self.path}. Choose another with --export-dir, or another name with "
                "--run."
            )

    def sign_export(self, exported: Path) -> None:
        """Notes in an export which run it is of."""
        mark = exported / _EXPORTED_BY
        mark.parent.mkdir(exist_ok=True)
        mark.write_text(str(self.path.resolve()))

    def keep_predictions(self, phase: str, predicted: np.ndarray) -> None:
        """Keeps the class predicted for each validation image, (N,) int, in order."""
        np.save(self.path / f"{phase}-predictions.npy", predicted)

    def predictions(self, phase: str) -> np.ndarray:
        """What `keep_predictions` kept."""
        predicted: np.ndarray = np.load(self.path / f"{phase}-predictions.npy", allow_pickle=False)
        return predicted

    def agreement(self, phase: str, teaching: str) -> float | None:
        """Share, 0 to 1, of the validation images of which two models predict the same class.

        Both are what is deployed. None where the predictions of one are not there.
        """
        files = [self.path / f"{name}-predictions.npy" for name in (phase, teaching)]
        if not all(file.is_file() for file in files):
            return None
        return float(np.mean(self.predictions(phase) == self.predictions(teaching)))

    def _check_same_recipe(self) -> None:
        if not (self.path / "recipe.json").is_file():
            return
        told = recipe_files.difference(recipe_files.load(self.path), self.recipe)
        idle = recipe_files.without_result(self.recipe)
        differences = [line for line in told if line.partition(":")[0] not in idle]
        if differences:
            raise ValueError(
                f"run folder {self.path} holds a run of another recipe ({'; '.join(differences)}). "
                "Choose another name with --run, or remove the folder."
            )


def _versions() -> dict[str, Any]:
    import tensorflow as tf

    return {
        "versions": versions.installed(),
        "machine": platform.machine(),
        "devices": [device.name for device in tf.config.list_logical_devices()],
    }
