"""One training: the pipeline's batches, the recipe's optimizer, the callbacks; for every phase."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kd_keras.data import pipeline
from kd_keras.data.store import Dataset
from kd_keras.data.teacher_rows import TeacherRows
from kd_keras.distill import gradients, metrics, side_by_side
from kd_keras.distill.distiller import Distiller
from kd_keras.graph.precision import best_precision, native_precisions
from kd_keras.job import callbacks
from kd_keras.job.recipe_files import Recipe
from kd_keras.optimizers import dot, schedules
from kd_keras.results import tensorboard_logs
from kd_keras.results.phase_names import shown
from kd_keras.results.screen import Screen

SGD_NESTEROV = True


def fit(
    distillers: Mapping[str, Distiller],
    data: Dataset,
    asked: Recipe,
    *,
    epochs: int,
    learning_rate: float,
    views: int,
    folder: Path,
    screen: Screen,
    rows: TeacherRows | None = None,
    watching: Sequence[keras.callbacks.Callback] = (),
) -> dict[str, dict[str, list[float]]]:
    """Trains from step 0 to the end; several side by side, on one pass of their teacher.

    Args:
        distillers: by phase, such as "teacher", "baseline" or "student", which names its logs;
            not compiled yet.
        data: where its batches come from.
        asked: the run's recipe, for all that the phases share.
        epochs: passes over train.
        learning_rate: the schedule's highest.
        views: of each image, in turn; 0 is a new one every epoch.
        folder: of the run; logs go to `logs/<phase>`, the history to `<phase>-history.csv`.
        screen: where bars and lines go.
        rows: what the teacher says of every view, if it need not run.
        watching: callbacks of the training as a whole.

    Returns:
        Of each phase, values by name, one an epoch.

    Raises:
        callbacks.LossIsNotFinite: the loss became NaN or infinite.
    """
    steps = pipeline.steps_per_epoch(data.train, asked.batch_size)
    for distiller in distillers.values():
        _compile(distiller, asked, learning_rate, epochs * steps, len(data.class_names))
    plan = pipeline.BatchPlan(
        data.train,
        batch_size=asked.batch_size,
        seed=asked.seed,
        policy=data.augment,
        view_seed=asked.view_seed,
        views=views,
        views_per_image=max(d.views_per_image for d in distillers.values()),
    )
    histories = {phase: keras.callbacks.History() for phase in distillers}
    own = {
        phase: (distiller, [*_watching(phase, asked, folder, screen), histories[phase]])
        for phase, distiller in distillers.items()
    }
    first, first_own = next(iter(own.values()))
    each = first_own if len(distillers) == 1 else [side_by_side.Each(own)]
    with first.distribute_strategy.scope():
        model = first if len(distillers) == 1 else side_by_side.Together(distillers)
    what = (
        " and ".join(map(shown, distillers))
        if len(distillers) < 3
        else f"{len(distillers)} students"
    )
    with callbacks.Bar(screen, what, asked.batch_size) as bar:
        model.fit(
            plan.dataset(0, epochs * steps, teacher=rows),
            epochs=epochs,
            steps_per_epoch=steps,
            validation_data=pipeline.evaluation(data.validation, batch_size=asked.batch_size),
            verbose=0,
            callbacks=[bar, *watching, *each],
        )
    return {
        phase: {name: [float(v) for v in np.asarray(vs)] for name, vs in told.history.items()}
        for phase, told in histories.items()
    }


def check_together(distillers: Mapping[str, Distiller]) -> None:
    """Raises ValueError where several cannot be trained side by side."""
    if len(distillers) > 1:
        side_by_side.check(distillers)


def _compile(
    distiller: Distiller, asked: Recipe, learning_rate: float, total_steps: int, num_classes: int
) -> None:
    distiller.total_steps = total_steps
    with distiller.distribute_strategy.scope():
        distiller.compile(
            optimizer(asked, learning_rate, total_steps),
            metrics=[
                metrics.TopAccuracy(1, name="top1"),
                metrics.TopAccuracy(min(5, num_classes), name="top5"),
            ],
        )


def _watching(phase: str, asked: Recipe, folder: Path, screen: Screen) -> list[Any]:
    """A phase's callbacks; what reads an epoch's speed comes after what adds it."""
    logs = folder / "logs" / phase
    shutil.rmtree(logs, ignore_errors=True)  # of a phase that was broken off
    return [
        callbacks.StopOnNaN(shown(phase)),
        *([keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if asked.ema else []),
        callbacks.Speed(asked.batch_size),
        callbacks.Line(screen, shown(phase)),
        keras.callbacks.CSVLogger(str(folder / f"{phase}-history.csv")),
        tensorboard_logs.callback(logs),
    ]


def optimizer(asked: Recipe, learning_rate: float, total_steps: int) -> keras.Optimizer:
    """The recipe's optimizer with its schedule over `total_steps`."""
    settings: dict[str, Any] = {
        "learning_rate": schedules.get(asked.schedule, learning_rate, total_steps),
        "weight_decay": asked.weight_decay or None,
        "use_ema": bool(asked.ema),
        "ema_momentum": asked.ema or 0.99,
    }
    if asked.optimizer == "dot":
        return dot.DOT(momentum=asked.momentum, delta=asked.delta, **settings)
    if asked.optimizer == "sgd":
        return keras.optimizers.SGD(momentum=asked.momentum, nesterov=SGD_NESTEROV, **settings)
    if asked.optimizer == "adamw":
        return keras.optimizers.AdamW(**{**settings, "weight_decay": asked.weight_decay})
    return keras.optimizers.Adam(**settings)


def check_optimizer(asked: Recipe) -> None:
    """Raises ValueError where the recipe's optimizer cannot be made, or not train here."""
    made = optimizer(asked, asked.learning_rate, total_steps=1)
    if gradients.takes_two(made) and precision(asked) == "mixed_float16":
        raise ValueError(
            f"the optimizer is {asked.optimizer} and the precision mixed_float16, which needs its "
            "losses scaled, and two gradients cannot be; expected another precision. Give "
            "--precision mixed_bfloat16 or float32."
        )


def precision(asked: Recipe, screen: Screen | None = None) -> str:
    """The precision that the recipe's comes to on this machine; warns of one that is slow here."""
    if asked.precision != "auto":
        if screen and asked.precision not in native_precisions():
            screen.warn(
                f"precision {asked.precision} has no units on this machine, so that training is "
                f"right, but slow; --precision auto takes {best_precision()}"
            )
        return asked.precision
    best = best_precision()
    scaled = best == "mixed_float16"  # which dot's two gradients cannot be
    return "float32" if scaled and asked.optimizer == "dot" else best
