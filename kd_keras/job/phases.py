"""Trains the models of a phase side by side, unless an earlier call of the command did."""

import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kd_keras.distill import machines
from kd_keras.distill.callbacks import stop_early
from kd_keras.distill.callbacks.checkpoint import Checkpoint
from kd_keras.distill.distiller import Distiller
from kd_keras.graph import freezing
from kd_keras.job import added_epochs
from kd_keras.job.models import build, cached_teacher
from kd_keras.job.prepare import Job
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.job.run_folders import provenance, run_state
from kd_keras.job.training import fitting, progress_callbacks
from kd_keras.methods.parts import requirements
from kd_keras.results.phase_names import display_name
from kd_keras.teacher_cache.reader import Cache


def unfinished_distillers(job: Job, distillers: Mapping[str, Distiller]) -> dict[str, Distiller]:
    """The Distillers, by phase, that are not trained yet."""
    return {p: d for p, d in distillers.items() if not job.folder.is_trained(p)}


def restore_finished(job: Job, distillers: Mapping[str, Distiller]) -> None:
    """Gives the Distillers that an earlier call trained, by phase, their saved weights.

    Args:
        job: the run.
        distillers: Distillers by phase; those that are not trained yet stay as they are.

    Raises:
        ValueError: a file of saved weights is damaged.
    """
    learners = unfinished_distillers(job, distillers)
    for phase in [phase for phase in distillers if phase not in learners]:
        file = job.folder.model_file(phase)
        distillers[phase].deployed.set_weights(_weights(file))
        job.screen.say(f"{display_name(phase)}: finished before, in {file}")
    if not learners:
        job.job_time.add_trained(list(distillers))


def train(
    job: Job,
    distillers: Mapping[str, Distiller],
    *,
    epochs: int,
    learning_rate: float,
    views: int,
    rows: Cache | None = None,
) -> None:
    """Trains Distillers side by side and saves the models and histories; does nothing for none.

    Args:
        job: the run.
        distillers: by phase.
        epochs, learning_rate, views, rows: see `fitting.fit`.
    """
    if not distillers:
        return
    start = time.perf_counter()
    checkpoint = Checkpoint(
        job.folder.path / run_state.CHECKPOINTS,
        models=distillers,
        minutes=job.recipe.checkpoint_minutes,
        tell=job.screen.say,
        end=added_epochs.end_of(job.recipe, job.folder.path, distillers),
    )
    histories = fitting.fit(
        distillers,
        job.data,
        job.recipe,
        epochs=epochs,
        learning_rate=learning_rate,
        views=views,
        folder=job.folder.path,
        screen=job.screen,
        checkpoint=checkpoint,
        rows=rows,
        callbacks_of_all=[
            job.job_time.watch(list(distillers), skipped=checkpoint.skipped),
            progress_callbacks.FolderCheck(job.folder.require_present),
        ],
    )
    seconds = checkpoint.seconds_before + time.perf_counter() - start
    seconds /= len(distillers)  # each one's share
    stopping_entries = {
        phase: _stopping_entry(job.recipe, history) for phase, history in histories.items()
    }
    _say_where_it_ended(job, stopping_entries)

    def save() -> None:
        for phase, distiller in distillers.items():
            if phase.partition("-")[0] in build.FREEZABLE:
                freezing.thaw(distiller.student, job.recipe.freeze)
            job.folder.save(
                phase, distiller.deployed, histories[phase], seconds, **stopping_entries[phase]
            )
        checkpoint.remove()

    machines.chief_only(job.strategy, save)
    job.job_time.add_trained(list(distillers))


def _stopping_entry(recipe: Recipe, history: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """What else is saved about a phase beside its history."""
    if recipe.stop_early is None:
        return {}
    return {"stop_early": stop_early.stopping_record(history, recipe.stop_early)}


def _say_where_it_ended(job: Job, stopping_entries: Mapping[str, Mapping[str, Any]]) -> None:
    for phase, entry in stopping_entries.items():
        if end := entry.get("stop_early"):
            name = stop_early.score_name(end)
            unit = " mAP" if name == stop_early.MAP else ""
            job.screen.say(
                f"{display_name(phase)}: best epoch: {end['best_epoch']} of {end['epochs']}, "
                f"weights restored ({end[name]:.1%}{unit} on the held-out images)"
            )


def _weights(file: Path) -> list[np.ndarray]:
    try:
        weights: list[np.ndarray] = keras.models.load_model(file, compile=False).get_weights()
        return weights
    except (ValueError, KeyError, TypeError, OSError, RuntimeError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{file} is damaged ({error}); expected a model that `kdk train` wrote. Restore it; or "
            "remove it and run the same command again to train it anew."
        ) from error


def cached_rows(job: Job, distillers: Mapping[str, Distiller]) -> Cache | None:
    """The cached outputs of the Distillers' teacher; None if the teacher runs or there is none.

    Args:
        job: the run.
        distillers: Distillers by phase that share a teacher.
    """
    taught_phases = [phase for phase, d in distillers.items() if d.teacher is not None]
    learners = [distillers[phase] for phase in taught_phases]
    teacher = learners[0].teacher if learners else None
    if isinstance(teacher, Cache):
        _note(job, taught_phases, cached_teacher.origin(teacher))
        return teacher
    if not isinstance(teacher, keras.Model):
        return None
    methods = [method for d in learners for method in d.methods]
    return cached_teacher.from_model(
        job.recipe,
        job.data,
        teacher,
        sorted(requirements.taps_of("teacher", methods)),
        views_per_image=learners[0].views_per_image,
        precision=job.precision,
        strategy=job.strategy,
        screen=job.screen,
        note=lambda **source: _note(job, taught_phases, source),
        reads_logits=bool(requirements.logit_users(methods)),
    )


def _note(job: Job, phases: Sequence[str], source: Mapping[str, Any]) -> None:
    """Adds the source of the teacher's outputs to provenance.json.

    Args:
        job: the run.
        phases: phases that learn from the teacher.
        source: where its outputs come from.
    """
    if not machines.is_chief(job.strategy):
        return  # one process writes the run folder
    for phase in phases:
        provenance.add_teacher_outputs(job.folder.path, phase, **source)
