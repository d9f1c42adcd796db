"""Trains models with the pipeline's batches, the recipe's optimizer and the callbacks."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kd_keras.data import pipeline
from kd_keras.data.stores.store import UNKNOWN, Dataset, Split
from kd_keras.data.teacher_rows import TeacherRows
from kd_keras.distill import machines, side_by_side
from kd_keras.distill.callbacks import stop_early
from kd_keras.distill.callbacks.checkpoint import Checkpoint
from kd_keras.distill.distiller import Distiller
from kd_keras.distill.step import metrics
from kd_keras.job.images import training_images
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.job.training import optimizer, phase_callbacks, progress_callbacks
from kd_keras.results.phase_names import display_name
from kd_keras.results.terminal.screen import Screen


def fit(
    distillers: Mapping[str, Distiller],
    data: Dataset,
    recipe: Recipe,
    *,
    epochs: int,
    learning_rate: float,
    views: int,
    folder: Path,
    screen: Screen,
    checkpoint: Checkpoint,
    rows: TeacherRows | None = None,
    callbacks_of_all: Sequence[keras.callbacks.Callback] = (),
) -> dict[str, dict[str, list[float]]]:
    """Trains one model or several side by side, from the step of the checkpoint to the end.

    Args:
        distillers: models by phase, not compiled yet; a phase, such as "student", names its logs.
            Several share one pass of their teacher.
        data: the dataset.
        recipe: the run's recipe, for the settings that all phases share.
        epochs: passes over the training images.
        learning_rate: highest learning rate of the schedule.
        views: number of views of each image, shown in turn; 0 shows a new one every epoch.
        folder: the run folder; logs go to `logs/<phase>`, the history to `<phase>-history.csv`.
        screen: where bars and lines are shown.
        checkpoint: saves the training and says where it goes on.
        rows: the teacher's cached outputs; None if the teacher runs.
        callbacks_of_all: callbacks of the training as a whole.

    Returns:
        Histories by phase: values by metric, one per epoch.

    Raises:
        stop_on_nan.NonFiniteError: the loss became NaN or infinite.
    """
    images, steps = training_images.phase_images(recipe, data, distillers)
    batch_plan = _batch_plan(images, data, recipe, distillers, views)
    unknown_class = None if images.known.all() else UNKNOWN
    for distiller in distillers.values():
        _compile(
            distiller, recipe, learning_rate, epochs, steps, len(data.class_names), unknown_class
        )

    strategy = next(iter(distillers.values())).distribute_strategy
    callbacks_by_phase = {
        phase: phase_callbacks.make(
            phase,
            recipe,
            folder,
            screen,
            checkpoint,
            functools.partial(_last_batch, batch_plan, rows),
            steps_before=checkpoint.first_epoch * steps + checkpoint.skipped,
            data=data,
            batch_size=batch_plan.batch_size,
            writes=machines.is_chief(strategy),
        )
        for phase in distillers
    }
    model, all_callbacks = _together(distillers, callbacks_by_phase, recipe)
    title = _title(list(distillers))
    if start_text := checkpoint.describe(epochs):
        screen.say(f"{title}: {start_text}")
    with progress_callbacks.Bar(screen, title, batch_plan.batch_size) as bar, checkpoint:
        model.fit(
            _batches(batch_plan, checkpoint, steps, epochs, rows, strategy),
            shuffle=False,
            initial_epoch=checkpoint.first_epoch,
            epochs=epochs,
            steps_per_epoch=steps,
            validation_data=pipeline.evaluation(data.validation, batch_size=recipe.images_per_step),
            verbose=0,
            callbacks=[bar, *callbacks_of_all, *all_callbacks, checkpoint],
        )
    return _as_floats(checkpoint.histories)


def check_together(distillers: Mapping[str, Distiller]) -> None:
    """Raises ValueError if these cannot be trained side by side."""
    if len(distillers) > 1:
        side_by_side.check(distillers)


def _batch_plan(
    images: Split, data: Dataset, recipe: Recipe, distillers: Mapping[str, Distiller], views: int
) -> pipeline.BatchPlan:
    """The batches of the training images.

    Args:
        images: the training images.
        data: the dataset.
        recipe: the recipe.
        distillers: the models that are trained, by phase.
        views: number of views of each image; 0: a new one every epoch.
    """
    return pipeline.BatchPlan(
        images,
        batch_size=min(recipe.images_per_step, len(images)),
        accumulate=recipe.accumulate,
        seed=recipe.seed,
        policy=data.augment,
        view_seed=recipe.view_seed,
        views=views,
        views_per_image=max(d.views_per_image for d in distillers.values()),
        num_classes=len(data.class_names),
    )


def _batches(
    batch_plan: pipeline.BatchPlan,
    checkpoint: Checkpoint,
    steps: int,
    epochs: int,
    rows: TeacherRows | None,
    strategy: Any,
) -> Any:
    """The batches from the checkpoint to the last epoch; each of several machines has its part.

    Args:
        batch_plan: the batches of the training.
        checkpoint: where the training continues.
        steps: number of steps per epoch.
        epochs: number of epochs.
        rows: outputs of a cached teacher; None: none.
        strategy: the devices.
    """
    batches = functools.partial(
        batch_plan.dataset,
        checkpoint.first_epoch * steps,
        epochs * steps,
        teacher=rows,
        dropped=checkpoint.skipped,
    )
    if machines.num_processes(strategy) == 1:
        return batches()
    return machines.distribute_batches(
        strategy, lambda shards, num_shards: batches(shards=shards, num_shards=num_shards)
    )


def _last_batch(batch_plan: pipeline.BatchPlan, rows: TeacherRows | None, steps: int) -> Any:
    """The last batch of a training of `steps` steps."""
    return next(iter(batch_plan.dataset(steps - 1, steps, teacher=rows)))


def _as_floats(
    histories: Mapping[str, Mapping[str, Any]],
) -> dict[str, dict[str, list[float]]]:
    """Histories of arrays or lists of numbers as lists of floats."""
    return {
        phase: {name: [float(v) for v in np.asarray(vs)] for name, vs in history.items()}
        for phase, history in histories.items()
    }


def _together(
    distillers: Mapping[str, Distiller],
    callbacks_by_phase: Mapping[str, list[Any]],
    recipe: Recipe,
) -> tuple[keras.Model, list[Any]]:
    """The model that `fit` trains, or several side by side, and its callbacks.

    Args:
        distillers: the models, by phase.
        callbacks_by_phase: their callbacks.
        recipe: the recipe.
    """
    first_distiller, *other_distillers = distillers.values()
    if not other_distillers:
        return first_distiller, next(iter(callbacks_by_phase.values()))
    with first_distiller.distribute_strategy.scope():
        model = side_by_side.SideBySideModel(distillers)
    callbacks_of_phases = {
        phase: (distiller, callbacks_by_phase[phase]) for phase, distiller in distillers.items()
    }
    stop = [stop_early.StopTogether(list(distillers.values()))] if recipe.stop_early else []
    return model, [side_by_side.PerStudentCallbacks(callbacks_of_phases), *stop]


def _title(phases: Sequence[str]) -> str:
    """What is trained, in words."""
    if len(phases) < 3:
        return " and ".join(map(display_name, phases))
    return f"{len(phases)} students"


def _compile(
    distiller: Distiller,
    recipe: Recipe,
    learning_rate: float,
    epochs: int,
    steps: int,
    num_classes: int,
    ignore_class: int | None,
) -> None:
    """Compiles the model with the recipe's optimizer, schedule and metrics.

    Args:
        distiller: the model.
        recipe: the recipe.
        learning_rate: the largest learning rate.
        epochs: number of epochs.
        steps: number of steps per epoch.
        num_classes: C.
        ignore_class: label of unknown classes; None: all labels are known.
    """
    distiller.total_steps = epochs * steps
    with distiller.distribute_strategy.scope():
        distiller.compile(
            optimizer.make(
                recipe,
                learning_rate,
                epochs=epochs,
                steps=steps,
                model=distiller.student,
                methods=distiller.methods,
            ),
            metrics=[]
            if distiller.multi_label  # `validation_scores` measures them
            else [
                metrics.TopAccuracy(1, name="top1"),
                metrics.TopAccuracy(min(5, num_classes), name="top5"),
            ],
            ignore_class=ignore_class,
        )
