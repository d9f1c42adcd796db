"""Saves training state, so that an interrupted run resumes bit-exactly."""

import contextlib
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Self

import keras

from kd_keras import check
from kd_keras.distill import (
    batches,
    checkpoint_files,
    compiled_metrics,
    machines,
    split_batch,
    training_state,
)
from kd_keras.distill.checkpoint_files import Position

DEFAULT_MINUTES = 5.0
_STEPS_BETWEEN_QUESTIONS = 10
_ALONE = "model"  # name of the model that `fit` trains, where it has no other


class Checkpoint(keras.callbacks.Callback):
    """Saves the training state every few minutes and after each epoch, and restores it.

    Give `fit` this callback as the last one, `initial_epoch=checkpoint.first_epoch`, and data that
    begin with the first batch of that epoch, such as
    `BatchPlan.dataset(checkpoint.first_epoch * steps, stop)` of `data.pipeline`. Batches of steps
    that are done already are dropped. If batches depend on nothing but the seed and the step, the
    result is equal to the bit to that of a training without interruption.

    In a `with` block, SIGINT and SIGTERM let the current step end, save the training and then
    do what they did before; a second signal does that at once.

    Args:
        folder: folder of the checkpoints; the last two are kept.
        models: Distillers by name, for several that train side by side; None is the model that
            `fit` trains.
        minutes: time between checkpoints; 0 saves after every step.
        tell: called with a sentence about each damaged checkpoint, and where a signal stops.

    Attributes:
        first_epoch: the epoch to begin with, counted from 0.
        skipped: steps of that epoch that are done already.
        histories: by model, the logs of earlier epochs by name, one value per epoch.
        seconds_before: time that the training took before, in earlier processes.

    Raises:
        ValueError: `minutes` is out of range; from `fit`: the checkpoint does not fit the models.
        OSError: from `fit`: a checkpoint cannot be written.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        models: Mapping[str, Any] | None = None,
        minutes: float = DEFAULT_MINUTES,
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        super().__init__()
        self.folder = Path(folder).expanduser()
        self._models, self._tell = models, tell
        self._pause = 60.0 * check.number("minutes", minutes, at_least=0.0)
        names = set(models or [_ALONE])
        self._restored = checkpoint_files.newest(
            self.folder, tell=tell, wanted=lambda position: names <= set(position.models)
        )
        position = self._restored[0] if self._restored else None
        self.first_epoch = position.epoch if position else 0
        self.skipped = position.batch if position else 0
        self.seconds_before = position.seconds if position else 0.0
        before = position.histories if position else {}
        self.histories = {name: dict(before.get(name, {})) for name in names}
        self._minutes_ago = position.minutes_ago if position else 0
        self._epoch = self._done = 0
        self._begun = self._saved = time.monotonic()
        self._signal: int | None = None
        self._is_stepping = False
        self._handlers = contextlib.ExitStack()

    def describe(self, epochs: int) -> str:
        """Where training resumes, in words; empty if it starts from the beginning."""
        if not self.skipped:
            return ""
        ago = self._minutes_ago
        when = f"{ago} minute{'s' if ago > 1 else ''} ago" if ago else "less than a minute ago"
        return f"continuing at epoch {self.first_epoch + 1} of {epochs} (checkpoint of {when})"

    def remove(self) -> None:
        """Removes the checkpoints, once the training is finished."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def models(self) -> Mapping[str, Any]:
        """The Distillers that are saved, by name."""
        return {_ALONE: self.model} if self._models is None else self._models

    def __enter__(self) -> Self:
        self._handlers.enter_context(_handled(self._on_signal))
        return self

    def __exit__(self, *error: object) -> None:
        self._handlers.close()

    def on_train_begin(self, logs: Any = None) -> None:
        if self.params["steps"] is None:
            raise ValueError(
                "the number of steps in an epoch is unknown; expected data of known length. Give "
                "fit steps_per_epoch, or a dataset of known cardinality."
            )
        self._begun = self._saved = time.monotonic()

    def on_train_end(self, logs: Any = None) -> None:
        self._step_again()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch, self._done = epoch, self.skipped if self._restored else 0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if batch >= self._done:
            self._step_again()
        elif not isinstance(self.model.train_function, _Dropping):  # a new stage makes it anew
            left = self._done - batch
            self.model.train_function = _Dropping(self.model, left, self._restore)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch < self._done:
            return
        self._done, self._is_stepping = batch + 1, True
        is_due = time.monotonic() - self._saved >= self._pause or self._signal is not None
        if self._done == self.params["steps"] or self._all_agree(is_due):
            self._save()
            self._end_if_signalled()

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self._end_if_signalled()  # the epoch's last step is saved

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        if self._models is None:
            for name, value in (logs or {}).items():
                self.histories[_ALONE].setdefault(name, []).append(float(value))

    def _all_agree(self, is_due: bool) -> bool:
        """Whether all processes save now: they save the same step, and ask each other seldom."""
        strategy = self.model.distribute_strategy
        if machines.count(strategy) == 1:
            return is_due
        asks = not self._pause or self._done % _STEPS_BETWEEN_QUESTIONS == 0
        return asks and machines.any_of(strategy, is_due)

    def _save(self) -> None:
        now = time.monotonic()
        position = Position(
            epoch=self._epoch,
            batch=self._done,
            steps_per_epoch=self.params["steps"],
            histories=self.histories,
            seconds=self.seconds_before + now - self._begun,
            saved=time.time(),
            models=list(self.models),
        )
        state = training_state.read(self.models)
        if machines.is_chief(self.model.distribute_strategy):
            checkpoint_files.write(self.folder, position, state)
        self._saved = time.monotonic()

    def _restore(self, labels: Any) -> None:
        """Restores the models, after making what Keras makes in their first step."""
        if self._restored is None:
            return
        for model in self.models.values():
            compiled_metrics.build(model._compile_metrics, labels, model.num_classes)
        training_state.restore(self.models, self._restored[1])
        self._restored = None

    def _step_again(self) -> None:
        if isinstance(self.model.train_function, _Dropping):
            self.model.train_function = self.model.train_function.step

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._handlers.close()  # a second signal acts at once
        self._signal = number
        if not self._is_stepping:  # there is nothing new to save
            signal.raise_signal(number)

    def _end_if_signalled(self) -> None:
        if self._signal is not None:
            number, self._signal = self._signal, None
            self._tell(
                f"saved after step {self._done} of {self.params['steps']} of epoch "
                f"{self._epoch + 1}"
            )
            signal.raise_signal(number)


class _Dropping:
    """Replaces a model's `train_function`: drops the batches of steps that are finished.

    Args:
        model: the model that `fit` trains.
        count: number of batches to drop.
        restore: called before the first batch is dropped, with its labels.
    """

    def __init__(self, model: Any, count: int, restore: Callable[[Any], None]) -> None:
        self.step = model.train_function
        self._model, self._left, self._restore = model, count, restore
        self._logs: Mapping[str, Any] | None = None

    def __call__(self, iterator: Any) -> dict[str, Any]:
        for _ in range(min(self._left, self._model.steps_per_execution)):
            batch = next(iterator)
            self._left -= 1
            if self._logs is None:
                part = split_batch.first_part(self._model.distribute_strategy, batch)
                self._restore(batches.unpacked(part).labels)
                self._logs = _logs(self._model)
        return dict(self._logs or {})


def _logs(model: Any) -> Mapping[str, Any]:
    """What a step logs, from the metrics as they are."""
    strategy = model.distribute_strategy
    if strategy.num_replicas_in_sync == 1:
        logs: Mapping[str, Any] = model.get_metrics_result()
        return logs
    logs = strategy.run(model.get_metrics_result)
    return {name: strategy.reduce("MEAN", value, axis=None) for name, value in logs.items()}


@contextlib.contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handles SIGINT and SIGTERM in the block, if it runs in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
