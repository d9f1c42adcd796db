"""Loads the data of a run, builds its models and checks both, before the run folder exists."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from kd_keras.data import pipeline
from kd_keras.data.stores.store import Dataset
from kd_keras.distill import machines
from kd_keras.distill.step import split_batch, validation
from kd_keras.exports.process import Serve
from kd_keras.job import identity, output_paths, plan
from kd_keras.job.checks import model_notes, teacher_check
from kd_keras.job.doctor import machine
from kd_keras.job.hardware import devices
from kd_keras.job.images import dataset, training_images
from kd_keras.job.measurements import Measurements
from kd_keras.job.models import build, embedding_teacher
from kd_keras.job.plan import PlannedModel
from kd_keras.job.recipe import consistency, recipe_files
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.job.run_folders.run_folder import RunFolder
from kd_keras.job.training import fitting, job_time, optimizer
from kd_keras.results.phase_names import display_name
from kd_keras.results.terminal.screen import Screen
from kd_keras.teacher_cache.reader import Cache

_FLOAT32 = 4  # bytes


@dataclasses.dataclass(frozen=True)
class Job:
    """A run that is ready to start.

    Attributes:
        recipe: the run's recipe, adjusted to the data.
        data: the dataset.
        folder: the run folder, which need not exist yet.
        screen: where lines, bars and tables are shown.
        strategy: the devices that models are trained on.
        precision: precision of every training.
        provenance: what all phases of the run folder have in common.
        exports: folder of each student's SavedModel, by phase.
        models: the teachers and the Distillers.
        job_time: estimates the time of the whole run.
        measurements: measures the models.
        cache_score: top-1 accuracy or mAP, 0 to 1, of a teacher that is a cache; else None.
    """

    recipe: Recipe
    data: Dataset
    folder: RunFolder
    screen: Screen
    strategy: devices.Strategy
    precision: str
    provenance: Mapping[str, Any]
    exports: Mapping[str, Path]
    models: build.Models
    job_time: job_time.JobTime
    measurements: Measurements
    cache_score: float | None

    def export_folder(self, model: PlannedModel) -> Path:
        """Where a model's SavedModel goes: a student's is the run's result, others stay inside."""
        return self.exports.get(model.phase, self.folder.path / "saved_models" / model.phase)

    def measure(
        self,
        planned_model: PlannedModel,
        model: keras.Model,
        export: Path | None,
        serve: Serve | None,
    ) -> dict[str, Any]:
        """`Measurements.measure` on one machine of several; the others read what it measured."""
        result = machines.chief_first(
            self.strategy, lambda: self.measurements.measure(planned_model, model, export, serve)
        )
        saved_facts = self.folder.read(planned_model.phase)
        return result | {name: saved_facts[name] for name in ("stop_early",) if name in saved_facts}


def prepare(
    recipe: Recipe,
    folder: RunFolder,
    data: Dataset | None,
    *,
    export_dir: Path,
    screen: Screen,
    verify: bool,
) -> Job:
    """Makes a run ready to start: checks everything, trains nothing.

    Nothing is written to the run folder. Stores of images, and a teacher's scores, are written to
    the cache folder.

    Args:
        recipe: the run's recipe, adjusted to the data.
        folder: the run folder.
        data: the dataset if it is loaded already, else None.
        export_dir: parent of the folder in which the students' SavedModels go.
        screen: where lines are shown.
        verify: check the data's contents against their hashes.

    Raises:
        ValueError, FileNotFoundError, OSError: what is wrong, what was expected, what to do.
    """
    strategy, exports = devices.get(recipe.devices), _exports(recipe, export_dir / folder.name)
    _check_recipe_and_folders(recipe, folder, exports)
    precision = optimizer.precision(recipe)
    optimizer.warn_of_slow_precision(precision, screen)
    data = data or machines.chief_first(
        strategy, lambda: dataset.load(recipe, screen, verify=verify)
    )
    _check_batches(recipe, data, strategy)
    provenance = _provenance(recipe, data, precision, strategy)
    folder.check_same_provenance(provenance)
    models = _models(recipe, data, precision, strategy)
    students = [distiller.student for distiller in models.rounds[-1].values()]
    for line in (*optimizer.notes(recipe, students), *model_notes.of_rounds(models.rounds)):
        screen.warn(line)
    measured_teachers = {} if models.embedding else models.teachers
    time = job_time.run_time(recipe, data, measured_teachers, models.rounds, screen)
    measurements = Measurements(recipe, data, folder, screen, time)
    _say_what_is_trained_on(recipe, data, models, screen)
    for model in plan.teachers(recipe):
        if model.phase in measured_teachers and identity.is_file(model.spec):
            machines.chief_first(
                strategy, functools.partial(check_teacher, model, models, measurements)
            )
    _say_what_is_frozen(recipe, models, screen)
    _say_what_is_not_validated(recipe, models, screen)
    return Job(
        recipe=recipe,
        data=data,
        folder=folder,
        screen=screen,
        strategy=strategy,
        precision=precision,
        provenance=provenance,
        exports=exports,
        models=models,
        job_time=time,
        measurements=measurements,
        cache_score=_cache_score(recipe, data, models, screen),
    )


def check_teacher(model: PlannedModel, models: build.Models, measurements: Measurements) -> None:
    """Shows a teacher's accuracy; raises ValueError if it is hardly better than guessing."""
    teacher = models.teachers[model.phase]
    value = measurements.score(model, teacher)
    recipe, data, screen = measurements.recipe, measurements.data, measurements.screen
    teacher_check.show_model(model.phase, teacher, value, recipe, data, screen)


def _exports(recipe: Recipe, folder: Path) -> dict[str, Path]:
    """Folder of each student's SavedModel, by phase."""
    phases = [model.phase for model in plan.students(recipe)]
    return {phase: folder if len(phases) == 1 else folder / phase for phase in phases}


def _check_recipe_and_folders(
    recipe: Recipe, folder: RunFolder, exports: Mapping[str, Path]
) -> None:
    """Raises ValueError for settings that do not fit, OSError for places that cannot be written."""
    consistency.check(recipe)  # again: it may be adjusted to the data
    optimizer.check(recipe)
    for export in exports.values():
        folder.check_export(export)
    folders = [folder.path / name for name in ("logs", "checkpoints", "saved_models")]
    for folder_path in (folder.path, *folders, *exports.values()):
        output_paths.require_folder(folder_path)


def _check_batches(recipe: Recipe, data: Dataset, strategy: devices.Strategy) -> None:
    """Raises ValueError for a batch that is too large for data or memory, or too small to share."""
    pipeline.steps_per_epoch(data.train, recipe.images_per_step, recipe.accumulate)
    _check_memory(recipe.images_per_step, data)
    split_batch.require_full(
        "batch_size",
        recipe.images_per_step,
        strategy.num_replicas_in_sync,
        remedy="Give a larger --batch-size, or fewer --devices.",
    )


def _check_memory(batch_size: int, data: Dataset) -> None:
    """Raises ValueError if the images of one batch take a quarter of this machine's memory."""
    batch_bytes = batch_size * math.prod(data.image_shape) * _FLOAT32
    _, memory = machine.memory()
    if memory and batch_bytes > memory / 4:
        shape = "x".join(map(str, data.image_shape))
        raise ValueError(
            f"a batch of {batch_size:,} images of {shape} takes {batch_bytes / 1e9:,.1f} GB; "
            f"expected at most a quarter of the {memory / 1e9:,.1f} GB of memory. Lower "
            "--batch-size or --image-size."
        )


def _provenance(
    recipe: Recipe, data: Dataset, precision: str, strategy: devices.Strategy
) -> dict[str, Any]:
    """What all phases of the run folder have in common, for its provenance."""
    provenance = {"data": data.fingerprint, **identity.identities(recipe)}
    provenance |= {"precision": precision, "replicas": strategy.num_replicas_in_sync}
    if labels := training_images.label_record(data):
        provenance["training_images"] = labels
    return provenance


def _models(
    recipe: Recipe, data: Dataset, precision: str, strategy: devices.Strategy
) -> build.Models:
    """The models of the run; raises ValueError if some cannot be trained side by side."""
    with strategy.scope():
        models = build.make_models(recipe, data, precision=precision)
        for distillers in models.rounds:
            fitting.check_together(distillers)
    return models


def _cache_score(
    recipe: Recipe, data: Dataset, models: build.Models, screen: Screen
) -> float | None:
    """Shows and returns the score of a teacher that is a cache; None for other teachers."""
    if not isinstance(models.teacher, Cache):
        return None
    return teacher_check.show_cache(models.teacher, recipe, data, screen)


def _say_what_is_trained_on(
    recipe: Recipe, data: Dataset, models: build.Models, screen: Screen
) -> None:
    """Shows where weights, classes and images come from."""
    lines = (_origins(recipe), build.describe_classes(recipe, data))
    for line in itertools.chain(*lines, training_images.sentences(recipe, data)):
        screen.say(line)
    if models.embedding:
        screen.say(embedding_teacher.sentence(recipe, models.teachers["teacher"]))


def _origins(recipe: Recipe) -> list[str]:
    """A line on each teacher that is a program, and on what app: models start from."""
    specs = dict.fromkeys((*recipe.teacher, *recipe.assistants, *recipe.student))
    lines = [line for spec in recipe.teacher if (line := identity.program_warning(spec))]
    for name, knobs in map(recipe_files.parse_spec, specs):
        if name.startswith("app:"):
            weights = knobs.get("weights", recipe.weights) or "none"
            words = {"imagenet": "ImageNet's weights", "none": "random weights"}
            lines.append(f"{name} starts from {words.get(str(weights), f'the weights {weights}')}")
    return lines


def _say_what_is_frozen(recipe: Recipe, models: build.Models, screen: Screen) -> None:
    if not recipe.freeze:
        return
    for phase, distiller in models.rounds[-1].items():
        student = distiller.student
        num_trained = sum(math.prod(variable.shape) for variable in student.trainable_variables)
        trained_text = f"{num_trained:,} of its {student.count_params():,} weights are trained"
        screen.say(f"{display_name(phase)}: {trained_text}, the others are frozen")
    for text in dict.fromkeys(recipe.student):
        name, knobs = recipe_files.parse_spec(text)
        weights = knobs.get("weights", recipe.weights) or "none"
        if not identity.is_file(text) and not (name.startswith("app:") and weights != "none"):
            screen.warn(
                f"{text} starts from random weights, and --freeze keeps some of them random; a "
                "student to fine-tune is a .keras file, or an app: model with weights"
            )


def _say_what_is_not_validated(recipe: Recipe, models: build.Models, screen: Screen) -> None:
    learners = [distiller for group in models.rounds for distiller in group.values()]
    left_out = validation.left_out([method for d in learners for method in d.methods])
    if recipe.validate_teacher and left_out:
        screen.say(left_out)
