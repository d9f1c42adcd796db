"""Accuracy, size, speed and export of a run's models, each measured once."""

import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kd_keras.data.stores.store import Dataset
from kd_keras.exports.process import Serve
from kd_keras.graph import architecture
from kd_keras.job.plan import PlannedModel
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.job.run_folders.run_folder import RunFolder
from kd_keras.job.training.job_time import JobTime
from kd_keras.results.evaluation import measure_model
from kd_keras.results.metrics import calibration, main_score, multi_label
from kd_keras.results.phase_names import display_name
from kd_keras.results.terminal.screen import Screen


class Measurements:
    """Measures the models of one run and saves the results in the run folder.

    A model that an earlier call of the command has measured is not measured again.

    Args:
        recipe: the run's recipe.
        data: the dataset, on whose validation images the models are measured.
        folder: the run folder.
        screen: where lines are shown.
        job_time: estimates the time of the whole run; updated after each measured model.
    """

    def __init__(
        self, recipe: Recipe, data: Dataset, folder: RunFolder, screen: Screen, job_time: JobTime
    ):
        self.recipe, self.data, self.folder, self.screen = recipe, data, folder, screen
        self.job_time = job_time
        self._scores: dict[str, np.ndarray] = {}
        self._times: dict[str, dict[str, Any]] = {}  # milliseconds by architecture

    def score(self, planned_model: PlannedModel, model: keras.Model) -> float:
        """The model's top-1 accuracy, or mAP, on the validation set, 0 to 1."""
        key = main_score.score_of_data(self.data).key
        result = self.folder.read(planned_model.phase).get("result")
        if result:
            return float(result[key])
        scores = self._all_scores(planned_model, model)
        return measure_model.measure_scores(scores, self.data.validation.labels)[key]

    def measure(
        self,
        planned_model: PlannedModel,
        model: keras.Model,
        export: Path | None,
        serve: Serve | None = None,
    ) -> dict[str, Any]:
        """The model's entry of results.json; exports the model as well if `export` is a path.

        Args:
            planned_model: which model of the run it is.
            model: the model, trained.
            export: folder for the model's SavedModel; None exports nothing.
            serve: checks the export, see `exports.process.fresh_process`.
        """
        result = self._saved_result(planned_model.phase, export)
        if result is None:
            result = self._measured_result(planned_model, model, export, serve)
            self._save(planned_model.phase, result, self._all_scores(planned_model, model), export)
            self.job_time.add_measured(result["seconds"]["measuring"])
        else:
            if self.recipe.timing and not result.get("milliseconds_per_image"):
                result |= self._architecture_and_times(model)
                self.folder.update(planned_model.phase, result=result)
            self.job_time.add_measured(None)
        if result.get("architecture") and result["milliseconds_per_image"]:
            self._times[result["architecture"]] = result["milliseconds_per_image"]
        self._scores.pop(planned_model.phase, None)
        return {"role": planned_model.role, **result}

    def _saved_result(self, phase: str, export: Path | None) -> dict[str, Any] | None:
        """The result of an earlier call; None if there is none, or one of its files is missing."""
        if not self.folder.is_measured(phase):
            return None
        result: dict[str, Any] = self.folder.read(phase)["result"]
        if export is None:
            return result
        is_exported = result.get("export", {}).get("path") == str(export)
        return result if is_exported and export.is_dir() else None

    def _measured_result(
        self,
        planned_model: PlannedModel,
        model: keras.Model,
        export: Path | None,
        serve: Serve | None,
    ) -> dict[str, Any]:
        """The result of evaluating, exporting and timing the model.

        Args:
            planned_model: the phase of the model.
            model: the model.
            export: folder of its SavedModel; None: it is not exported.
            serve: runs the SavedModel for its check; None: see `measure_model.measure`.
        """
        start = time.perf_counter()
        task = "evaluating and exporting" if export else "evaluating"
        self.screen.say(f"{display_name(planned_model.phase)}: {task} it")
        scores = self._all_scores(planned_model, model)
        result = measure_model.measure(model, self.data, export, scores, serve)
        if not self.data.validation.multi_label:
            labels = self.data.validation.labels
            result["calibration"] = calibration.measure_calibration(scores, labels)
        # Timed last, when no other process is at work
        result |= self._architecture_and_times(model)
        result["seconds"] = {
            "training": self.folder.read(planned_model.phase).get("training_seconds"),
            "measuring": time.perf_counter() - start,
        }
        return result

    def _save(
        self, phase: str, result: dict[str, Any], scores: np.ndarray, export: Path | None
    ) -> None:
        """Writes into the run folder; the result comes last, since it ends the phase.

        Args:
            phase: the phase of the model.
            result: entry of results.json.
            scores: (N, C) float, logits of the validation images.
            export: folder of the SavedModel; None: there is none.
        """
        if export:
            self.folder.sign_export(export)
        is_multi_label = self.data.validation.multi_label
        predictions = multi_label.decisions(scores) if is_multi_label else np.argmax(scores, axis=1)
        self.folder.save_predictions(phase, predictions)
        self.folder.save_scores(phase, scores, multi_label=is_multi_label)
        self.folder.update(phase, result=result)

    def _architecture_and_times(self, model: keras.Model) -> dict[str, Any]:
        """The model's architecture and its times; each architecture is timed once."""
        name = architecture.fingerprint(model)
        times = self._times.get(name or "")
        if times is None and self.recipe.timing:
            times = measure_model.milliseconds(model, self.data)
        return {"architecture": name, "milliseconds_per_image": times}

    def _all_scores(self, planned_model: PlannedModel, model: keras.Model) -> np.ndarray:
        """(N, C) scores of the validation images, computed once."""
        phase = planned_model.phase
        if phase not in self._scores:
            is_trained_here = self.folder.history(phase) is not None
            try:
                self._scores[phase] = (
                    # As in the validation of its last epoch, so that both give one number.
                    measure_model.scores(model, self.data.validation)
                    if is_trained_here or planned_model.role != "teacher"
                    else measure_model.teachers_scores(model, self.data)
                )
            except ValueError as error:
                raise ValueError(
                    f"{display_name(phase)} ({planned_model.spec}): {error}"
                ) from error
        return self._scores[phase]
