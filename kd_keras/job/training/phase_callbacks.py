"""The callbacks of one phase's training: what measures, stops, shows and logs it."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from kd_keras import check
from kd_keras.data import pipeline
from kd_keras.data.stores.store import Dataset, Split
from kd_keras.distill.callbacks import gradient_norms, stop_early, stop_on_nan
from kd_keras.distill.callbacks.checkpoint import Checkpoint
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.job.training import progress_callbacks, step_logs
from kd_keras.job.training.history_file import HistoryFile
from kd_keras.job.training.validation_scores import ValidationScores, mean_average_precision_on
from kd_keras.results.loggers import tensorboard_logs, trackers
from kd_keras.results.phase_names import display_name
from kd_keras.results.terminal.screen import Screen


def make(
    phase: str,
    recipe: Recipe,
    folder: Path,
    screen: Screen,
    checkpoint: Checkpoint,
    last_batch: Callable[[int], Any],
    *,
    steps_before: int,
    data: Dataset,
    batch_size: int,
    writes: bool,
) -> list[Any]:
    """A phase's callbacks; those that add to the logs come before those that read them.

    Args:
        phase: name of the phase, such as "student".
        recipe: the run's recipe.
        folder: the run folder; logs go to `logs/<phase>`, the history to `<phase>-history.csv`.
        screen: where lines are shown.
        checkpoint: the checkpoint of the training, with the histories of the epochs before.
        last_batch: `last_batch(steps)` is the last batch of so many steps.
        steps_before: number of steps that an earlier call of the command trained.
        data: the dataset.
        batch_size: images in a batch.
        writes: whether this machine writes files; one of several does.
    """
    stopping, earlier_logs = data.stopping, checkpoint.histories[phase]
    logs = folder / "logs" / phase
    if writes:
        shutil.rmtree(logs, ignore_errors=True)  # of a phase that was interrupted
    files = [
        tensorboard_logs.callback(logs, earlier_logs=checkpoint.histories[phase]),
        *_trackers(phase, recipe, folder),
        HistoryFile(folder / f"{phase}-history.csv", checkpoint.histories[phase]),
    ]
    if writes and recipe.log_every:
        files.append(_step_logs(phase, recipe.log_every, folder, screen, steps_before))
    history = keras.callbacks.History()
    history.history = checkpoint.histories[phase]  # goes on with the epochs before
    return [
        stop_on_nan.StopOnNaN(display_name(phase)),
        # Of the weights that are trained, not of their mean; the end of the run says the warnings.
        gradient_norms.GradientNorms(
            last_batch, warn=lambda line: None, earlier=checkpoint.histories[phase]
        ),
        *([keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if recipe.ema else []),
        *([ValidationScores(data.validation)] if data.multi_label else []),
        *(_early_stopping(recipe, stopping, earlier_logs) if stopping is not None else []),
        progress_callbacks.Speed(
            batch_size,
            skipped=checkpoint.skipped,
            seconds_before=checkpoint.seconds_before,
        ),
        progress_callbacks.EpochLine(screen, display_name(phase)),
        history,
        *(files if writes else []),
    ]


def _early_stopping(
    recipe: Recipe, stopping: Split, earlier_logs: Mapping[str, Sequence[float]]
) -> list[keras.callbacks.Callback]:
    """What ends a training early.

    Args:
        recipe: the recipe.
        stopping: held-out images that decide when to stop.
        earlier_logs: values of the epochs before, by log.
    """
    held_out = pipeline.evaluation(stopping, batch_size=recipe.images_per_step)
    patience = check.whole_number("stop_early", recipe.stop_early, at_least=1)
    score = mean_average_precision_on(stopping) if stopping.multi_label else None
    return [
        stop_early.StopEarly(
            held_out, patience=patience, mean_average_precision=score, earlier=earlier_logs
        )
    ]


def _step_logs(
    phase: str, steps_between: int, folder: Path, screen: Screen, steps_before: int
) -> step_logs.StepLogs:
    """What logs a phase within its epochs.

    Args:
        phase: the phase.
        steps_between: number of steps from one log to the next.
        folder: the run folder.
        screen: where lines are shown.
        steps_before: steps that an earlier call has done.
    """
    return step_logs.StepLogs(
        steps_between,
        file=folder / f"{phase}-steps.csv",
        folder=folder / "logs" / phase / "steps",
        screen=screen,
        what=display_name(phase),
        steps_before=steps_before,
    )


def _trackers(phase: str, recipe: Recipe, folder: Path) -> list[keras.callbacks.Callback]:
    """Callbacks that log to the services that the recipe names.

    Args:
        phase: the phase.
        recipe: the recipe.
        folder: the run folder.
    """
    settings = recipe.model_dump()
    wandb = [trackers.WandbLogs(recipe.wandb, folder, phase, settings)] if recipe.wandb else []
    mlflow = [trackers.MlflowLogs(recipe.mlflow, folder, phase, settings)] if recipe.mlflow else []
    return [*wandb, *mlflow]
