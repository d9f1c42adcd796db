"""What a run does once: a phase trained, a model measured; taken over where it is done already."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kd_keras.data.store import Dataset
from kd_keras.data.teacher_rows import TeacherRows
from kd_keras.distill.distiller import Distiller
from kd_keras.exports import saved_model
from kd_keras.graph import architecture
from kd_keras.job import fitting
from kd_keras.job.job_time import JobTime
from kd_keras.job.recipe_files import Recipe
from kd_keras.job.run_folder import RunFolder
from kd_keras.results import evaluate
from kd_keras.results.phase_names import shown
from kd_keras.results.screen import Screen


class Once:
    """Trains and measures the models of one run, and keeps all of it in the run's folder.

    Args:
        asked: the run's recipe.
        data: what is trained and evaluated on.
        folder: the run's.
        screen: where bars and lines go.
        job: is told what is trained and measured.
    """

    def __init__(
        self, asked: Recipe, data: Dataset, folder: RunFolder, screen: Screen, job: JobTime
    ):
        self.asked, self.data, self.folder, self.screen = asked, data, folder, screen
        self.job = job
        self.precision = fitting.precision(asked)
        self.serve: saved_model.Serve | None = None  # checks all exports, once a process is started
        self._scores: dict[str, np.ndarray] = {}
        self._times: dict[str, dict[str, Any]] = {}  # milliseconds of each architecture

    def trained(
        self,
        distillers: Mapping[str, Distiller],
        *,
        epochs: int,
        learning_rate: float,
        views: int,
        rows: Callable[[Mapping[str, Distiller]], TeacherRows | None] = lambda due: None,
    ) -> dict[str, dict[str, list[float]]]:
        """Histories by phase; afterwards each `distiller.deployed` has the weights its phase gave.

        Several are trained side by side. `rows` gives what their teacher says where that is cached;
        it is asked of those that are due, before training.
        """
        histories = {phase: self._taken_over(phase, d) for phase, d in distillers.items()}
        due = {phase: distillers[phase] for phase, known in histories.items() if known is None}
        pace = [self.job.watch(list(due))] if due else []
        if due:
            given = rows(due)
            start = time.perf_counter()
            made = fitting.fit(
                due,
                self.data,
                self.asked,
                epochs=epochs,
                learning_rate=learning_rate,
                views=views,
                folder=self.folder.path,
                screen=self.screen,
                rows=given,
                watching=pace,
            )
            seconds = (time.perf_counter() - start) / len(due)  # its share
            for phase, distiller in due.items():
                self.folder.finish(phase, distiller.deployed, made[phase], seconds)
            histories |= made
        self.job.trained(list(distillers))
        return {phase: history or {} for phase, history in histories.items()}

    def _taken_over(self, phase: str, distiller: Distiller) -> dict[str, list[float]] | None:
        """The history of a phase that is finished, its weights set; None of one that is not."""
        file, history = self.folder.model_file(phase), self.folder.finished(phase)
        if history is not None:
            saved = keras.models.load_model(file, compile=False)
            distiller.deployed.set_weights(saved.get_weights())
            self.screen.say(f"{shown(phase)}: finished before, in {file}")
        return history

    def top1(self, phase: str, model: keras.Model) -> float:
        """The model's share, 0 to 1, of validation images that it recognises."""
        kept = self.folder.kept(phase).get("result")
        labels = self.data.validation.labels
        return kept["top1"] if kept else evaluate.accuracy(self._found(phase, model), labels)

    def measured(self, phase: str, model: keras.Model, to: Path | None) -> dict[str, Any]:
        """The model's entry of results.json, once it is exported to `to`, if that is a path."""
        kept = self.folder.kept(phase)
        result: Any = kept.get("result")
        exported = result and result.get("export", {}).get("path") == str(to)
        missing = not result or (to and not (exported and to.is_dir()))
        if missing:
            doing = "evaluating and exporting" if to else "evaluating"
            self.screen.say(f"{shown(phase)}: {doing} it")
            start = time.perf_counter()
            found = self._found(phase, model)
            result = evaluate.measure(model, self.data, to, found, self.serve)
            if to:
                self.folder.sign_export(to)
            self.folder.keep_predictions(phase, np.argmax(found, axis=1))
            # Timed last, when no other process is at work.
            result |= self._timed(model)
            result["seconds"] = {
                "training": kept.get("training_seconds"),
                "measuring": time.perf_counter() - start,
            }
            self.folder.keep(phase, result=result)
        elif self.asked.timing and not result.get("milliseconds_per_image"):
            result |= self._timed(model)
            self.folder.keep(phase, result=result)
        self._remember_times(result)
        self.job.measured(result["seconds"]["measuring"] if missing else None)
        self._scores.pop(phase, None)
        return result

    def _timed(self, model: keras.Model) -> dict[str, Any]:
        """The model's architecture and its times, measured once for models of one architecture."""
        name = architecture.fingerprint(model)
        times = self._times.get(name or "")
        if times is None and self.asked.timing:
            times = evaluate.milliseconds(model, self.data)
        return {"architecture": name, "milliseconds_per_image": times}

    def _remember_times(self, result: dict[str, Any]) -> None:
        if result.get("architecture") and result["milliseconds_per_image"]:
            self._times[result["architecture"]] = result["milliseconds_per_image"]

    def _found(self, phase: str, model: keras.Model) -> np.ndarray:
        """(N, C) scores of the validation images, computed once."""
        if phase not in self._scores:
            trained_here = self.folder.finished(phase) is not None
            self._scores[phase] = (
                # As in the validation of its last epoch, so that both give one number.
                evaluate.scores(model, self.data.validation)
                if trained_here or not phase.startswith("teacher")
                else evaluate.teachers_scores(model, self.data, precision=self.precision)
            )
        return self._scores[phase]
