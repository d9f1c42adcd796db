"""A finished run, read from its folder; what a run of an earlier version lacks is None."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras import check, files
from kd_keras.data.stores import hashed_arrays
from kd_keras.results import phase_names
from kd_keras.results.metrics import main_score, multi_label, statistics
from kd_keras.results.metrics.main_score import Score
from kd_keras.results.page import plots
from kd_keras.results.page.plots import Look
from kd_keras.results.run_files import checksums, run_data, score_files
from kd_keras.results.run_files.run_data import RunData
from kd_keras.results.terminal import table

_REQUIRED_ENTRIES = ("parameters", "milliseconds_per_image")  # beside the scores
History = Mapping[str, Sequence[float]]


@dataclasses.dataclass(frozen=True)
class FinishedRun:
    """A finished run, as its report reads it.

    Attributes:
        folder: the run folder.
        results: contents of results.json.
        recipe: contents of recipe.json.
        provenance: contents of provenance.json; empty if there is none.
        data: class names and more; None for a run of an earlier version.
    """

    folder: Path
    results: Mapping[str, Any]
    recipe: Mapping[str, Any]
    provenance: Mapping[str, Any]
    data: RunData | None

    @functools.cached_property
    def phases(self) -> list[str]:
        """The phases of the measured models, in their order."""
        return table.models(self.results)

    @functools.cached_property
    def score(self) -> Score:
        """The score that the models are compared by."""
        return main_score.score_of_results(self.results)

    @property
    def multi_label(self) -> bool:
        """Whether an image may have several classes."""
        return self.score is main_score.MAP

    @functools.cached_property
    def intervals(self) -> dict[str, tuple[float, float] | None]:
        """By phase, the 95 % interval of its score over images; None where that is unknown."""
        return {phase: self._interval(phase) for phase in self.phases}

    def _interval(self, phase: str) -> tuple[float, float] | None:
        predicted_classes, labels = self.predictions(phase), self.labels
        if self.multi_label:
            logits = self.scores(phase)
            if logits is None or labels is None:
                return None
            return multi_label.interval(labels, logits, seed=0)
        images = len(
            labels
            if labels is not None
            else predicted_classes
            if predicted_classes is not None
            else ()
        )
        if not images:
            return None
        num_right = round(self.results[phase][self.score.key] * images)
        return statistics.share_interval(num_right, images)

    def name(self, phase: str) -> str:
        """What people call the model of a phase."""
        return table.model_name(phase, self.results)

    def name_in_text(self, phase: str) -> str:
        """The same within a sentence."""
        name, role = self.name(phase), self.role(phase)
        if role == phase_names.BASELINE:
            return "student alone"
        if role != phase_names.STUDENT:
            return name
        return "distilled student" if name == "student distilled" else f"student ({name})"

    def role(self, phase: str) -> str:
        return phase_names.role(phase, self.results)

    @functools.cached_property
    def students(self) -> list[str]:
        """The phases of the students, the results of the run."""
        return [phase for phase in self.phases if self.role(phase) == phase_names.STUDENT]

    @property
    def student(self) -> str:
        """The phase of the student that the report is about: of several, the most accurate one."""
        return max(self.students, key=lambda phase: float(self.results[phase][self.score.key]))

    @property
    def alone(self) -> str | None:
        """The phase of the same network trained alone; None without a baseline."""
        spec = self.results[self.student].get("spec")
        baselines = [phase for phase in self.phases if self.role(phase) == phase_names.BASELINE]
        return next((p for p in baselines if self.results[p].get("spec") == spec), None)

    @property
    def teacher(self) -> str | None:
        """The phase of the teacher that was measured; None for a cache, or plain training."""
        return phase_names.TEACHER if phase_names.TEACHER in self.phases else None

    @property
    def reference(self) -> str | None:
        """The phase that the student is compared with: the student alone, else the teacher."""
        return self.alone or self.teacher

    def look(self, phase: str) -> Look:
        """How the model of a phase is drawn: teacher, student alone and student always alike."""
        return plots.look(self._look_indices[phase])

    @functools.cached_property
    def _look_indices(self) -> dict[str, int]:
        named_phases = [phase for phase in (self.teacher, self.alone, self.student) if phase]
        indices = {self.teacher: 0, self.alone: 1, self.student: 2}
        other_phases = [phase for phase in self.phases if phase not in named_phases]
        return {
            **{p: indices[p] for p in named_phases},
            **{p: 3 + i for i, p in enumerate(other_phases)},
        }

    def history(self, phase: str) -> History:
        """Values by metric, one per epoch; empty for a model that was not trained in this run."""
        history = _json(self.folder / f"{phase}.json").get("history")
        return history if isinstance(history, dict) else {}

    @functools.cached_property
    def labels(self) -> np.ndarray | None:
        """(N,) labels of the validation images; (N, C) of 0 and 1 of multi-label data."""
        return score_files.load_labels(self.folder)

    @functools.cached_property
    def _scores(self) -> dict[str, np.ndarray | None]:
        return {phase: score_files.load(self.folder, phase) for phase in self.phases}

    def scores(self, phase: str) -> np.ndarray | None:
        """(N, C) logits of the validation images."""
        return self._scores[phase]

    def predictions(self, phase: str) -> np.ndarray | None:
        """(N,) predicted classes of the validation images; (N, C) of multi-label data."""
        try:
            path = self.folder / f"{phase}-predictions.npy"
            return hashed_arrays.load(path)
        except (OSError, ValueError, EOFError):
            return None

    def class_name(self, label: int) -> str:
        """The name of a class, or its number where names are not known."""
        return str(label) if self.data is None else self.data.class_names[label]


def read(folder: Path) -> FinishedRun:
    """Reads a run folder.

    Raises:
        FileNotFoundError: there is no such folder, or it holds no run.
        ValueError: the run is not finished, or a file is damaged.
    """
    if not (folder / "recipe.json").is_file():
        state = "has no recipe.json" if folder.is_dir() else "does not exist"
        raise FileNotFoundError(
            f"run folder {folder} {state}; expected the name or path of a finished run. `kdk runs` "
            "lists the runs."
        )
    if not (folder / "results.json").is_file():
        raise ValueError(
            f"run {folder} is not finished: it has no results.json; expected a finished run. "
            f"Continue it with `kdk train --recipe {folder} --run {folder}`, then ask for its "
            "report."
        )
    checksums.require_unchanged(folder)
    try:
        data = run_data.read(folder) if (folder / run_data.NAME).is_file() else None
        results, recipe, provenance = (
            _json(folder / f"{name}.json") for name in ("results", "recipe", "provenance")
        )
        run = FinishedRun(folder, results, recipe, provenance, data)
        _require_entries(run)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"the run in {folder} is damaged ({check.fault(error)}); expected the files that `kdk "
            "train` wrote. Restore them, or train again in a new folder."
        ) from error
    return run


def _require_entries(run: FinishedRun) -> None:
    """Raises ValueError if there is no student, or an entry lacks what every version wrote."""
    if not run.students:
        raise ValueError("results.json has no student")
    needed_names = (run.score.key, run.score.second, *_REQUIRED_ENTRIES)
    for phase in run.phases:
        missing_names = [name for name in needed_names if name not in run.results[phase]]
        if missing_names:
            raise ValueError(f"the {phase} in results.json has no {' and no '.join(missing_names)}")


def _json(path: Path) -> dict[str, Any]:
    """The object in a file; empty if there is no file."""
    if not path.is_file():
        return {}
    return files.read_json(path)
