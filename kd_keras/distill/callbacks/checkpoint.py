"""Saves training state, so that an interrupted run resumes bit-exactly."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import keras

from kd_keras import check
from kd_keras.distill import machines
from kd_keras.distill.callbacks import checkpoint_files, stop_on_nan, training_state
from kd_keras.distill.callbacks.checkpoint_files import Position, State
from kd_keras.distill.callbacks.dropped_steps import DroppedSteps
from kd_keras.distill.callbacks.stop_signals import StopSignals
from kd_keras.distill.keras_model import compiled_metrics

DEFAULT_MINUTES = 5.0
#: Share of the training time that checkpoints at the ends of short epochs may take.
MAX_TIME = 0.02
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
    do what they did before; a second signal ends the process at once.

    Where epochs are short, an epoch's end is not written if checkpoints would then have taken more
    than 2 % of the training time. A signal writes it.

    Args:
        folder: folder of the checkpoints; the last two are kept.
        models: Distillers by name, for several that train side by side; None is the model that
            `fit` trains.
        minutes: time between checkpoints; 0 saves after every step.
        tell: called with a sentence about each damaged checkpoint, and where a signal stops.
        end: folder in which `remove` keeps the checkpoint of the last step, so that a later
            training of more epochs goes on from there; None keeps none.

    Attributes:
        first_epoch: the epoch to begin with, counted from 0.
        skipped: steps of that epoch that are done already.
        histories: by model, the logs of earlier epochs by name, one value per epoch.
        seconds_before: time that the training took before, in earlier processes.

    Raises:
        ValueError: `minutes` is out of range; from `fit`: the checkpoint does not fit the models.
        stop_on_nan.NonFiniteError: from `fit`: weights are NaN or infinite; the last checkpoint
            stays.
        OSError: from `fit`: a checkpoint cannot be written.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        models: Mapping[str, Any] | None = None,
        minutes: float = DEFAULT_MINUTES,
        tell: Callable[[str], None] = lambda line: None,
        end: str | Path | None = None,
    ) -> None:
        super().__init__()
        self.folder = Path(folder).expanduser()
        self._models, self._tell = models, tell
        self._end = None if end is None else Path(end).expanduser()
        self._pause = 60.0 * check.number("minutes", minutes, at_least=0.0)
        names = set(models or [_ALONE])
        self._restored = self._newest(names)
        position = self._restored[0] if self._restored else None
        self.first_epoch = position.epoch if position else 0
        self.skipped = position.batch if position else 0
        self.seconds_before = position.seconds if position else 0.0
        old_histories = position.histories if position else {}
        self.histories = {name: dict(old_histories.get(name, {})) for name in names}
        self._age = position.age if position else ""
        self._written = position
        self._is_tidy = False
        self._epoch = self._batches_done = 0
        self._begun = self._saved = time.monotonic()
        self._cost = self._spent = 0.0  # seconds of writing the last one, and of all
        self._unwritten: tuple[Position, State] | None = None  # of an epoch's end, or a long step's
        self._is_stepping, self._writing = False, threading.Lock()
        self._step_ended = self._begun
        # Before the first step there is nothing new to save.
        self._signals = StopSignals(lambda: not self._is_stepping, self._save_step_before)

    def describe(self, epochs: int) -> str:
        """Where training resumes, in words; empty if it starts from the beginning."""
        if not self.skipped:
            return ""
        return f"continuing at epoch {self.first_epoch + 1} of {epochs} (checkpoint of {self._age})"

    def remove(self) -> None:
        """Removes the checkpoints once the training is finished; keeps the last one in `end`."""
        checkpoint_files.keep_only(self.folder, self._written)
        if self._end is not None and checkpoint_files.newest_position(self.folder) is not None:
            shutil.rmtree(self._end, ignore_errors=True)
            self._end.parent.mkdir(parents=True, exist_ok=True)
            os.replace(self.folder, self._end)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def models(self) -> Mapping[str, Any]:
        """The Distillers that are saved, by name."""
        return {_ALONE: self.model} if self._models is None else self._models

    def __enter__(self) -> Self:
        self._signals.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._signals.__exit__(*error)

    def on_train_begin(self, logs: Any = None) -> None:
        if self.params["steps"] is None:
            raise ValueError(
                "the number of steps in an epoch is unknown; expected data of known length. Give "
                "fit steps_per_epoch, or a dataset of known cardinality."
            )
        if self._restored is not None:
            self._check_steps(self._restored[0].steps_per_epoch)
        self._begun = self._saved = time.monotonic()

    def on_train_end(self, logs: Any = None) -> None:
        self._step_again()
        self._end_if_signalled()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._end_if_signalled()
        self._epoch, self._batches_done = epoch, self.skipped if self._restored else 0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if batch >= self._batches_done:
            self._step_again()
        elif not isinstance(self.model.train_function, DroppedSteps):  # a new stage makes it anew
            num_dropped = self._batches_done - batch
            self.model.train_function = DroppedSteps(self.model, num_dropped, self._restore)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch < self._batches_done:
            return
        self._batches_done, self._is_stepping = batch + 1, True
        waited = time.monotonic() - self._saved
        is_due = waited >= self._pause or self._signals.received or self._must_keep()
        is_end = self._batches_done == self.params["steps"]
        if is_end or self._all_agree(is_due):
            start = time.monotonic()
            self._require_finite()
            self._unwritten = self._position(), training_state.read(self.models)
            if is_due or not is_end or self._is_affordable():
                self._write()
            self._spent += time.monotonic() - start
            self._end_if_signalled()
        else:
            is_long = self._has_long_steps()
            state = training_state.read(self.models) if is_long else None
            self._unwritten = None if state is None else (self._position(), state)
        self._step_ended = time.monotonic()

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self._end_if_signalled()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        if self._models is None:
            for name, value in (logs or {}).items():
                self.histories[_ALONE].setdefault(name, []).append(float(value))

    def _newest(self, names: set[str]) -> tuple[Position, State] | None:
        folders = [self.folder] if self._end is None else [self.folder, self._end]
        newest_of_folders = (
            checkpoint_files.newest(
                folder, tell=self._tell, is_usable=lambda position: names <= set(position.models)
            )
            for folder in folders
        )
        return next(filter(None, newest_of_folders), None)

    def _check_steps(self, saved_steps: int) -> None:
        """Raises ValueError if an epoch now has a different number of steps."""
        if saved_steps != self.params["steps"]:
            raise ValueError(
                f"the checkpoint in {self.folder} is of a training with {saved_steps} steps in an "
                f"epoch, and this one has {self.params['steps']}; expected the same data and batch "
                "size. Use those, or remove the folder to start again."
            )

    def _must_keep(self) -> bool:
        """Whether this is the last step, and its checkpoint stays."""
        is_last = (
            self._batches_done == self.params["steps"] and self._epoch + 1 == self.params["epochs"]
        )
        return is_last and self._end is not None

    def _is_affordable(self) -> bool:
        """Whether checkpoints, with one more, take no more than their share of the time."""
        time_now, is_first = time.monotonic(), not self._cost
        return is_first or self._spent + self._cost <= MAX_TIME * (time_now - self._begun)

    def _has_long_steps(self) -> bool:
        """Whether a signal may end the process before the next step has ended."""
        is_long = time.monotonic() - self._step_ended > self._signals.longest_wait
        return is_long and machines.num_processes(self.model.distribute_strategy) == 1

    def _save_step_before(self) -> bool:
        """Writes what is unwritten, in the thread of a signal that the step lets wait too long.

        Returns:
            Whether the process may end; several processes save nothing before they agree.
        """
        if self.model and machines.num_processes(self.model.distribute_strategy) > 1:
            return False
        text = f"a step takes longer than {self._signals.longest_wait:g} s; "
        try:
            self._write()
        except OSError as error:
            self._tell(f"{text}the checkpoint of the one before cannot be written: {error}")
        else:
            saved = f"saved after {self._written.step_text}" if self._written else "nothing saved"
            self._tell(text + saved)
        return True

    def _all_agree(self, is_due: bool) -> bool:
        """Whether all processes save now: they save the same step, and ask each other seldom."""
        strategy = self.model.distribute_strategy
        if machines.num_processes(strategy) == 1:
            return is_due
        asks = not self._pause or self._batches_done % _STEPS_BETWEEN_QUESTIONS == 0
        return asks and machines.any_of(strategy, is_due)

    def _require_finite(self) -> None:
        """Raises NonFiniteError instead of saving weights from which no training can go on."""
        when = f"at step {self._batches_done} of epoch {self._epoch + 1}"
        for name, model in self.models.items():
            what = "" if self._models is None else name.replace("-", " ")
            stop_on_nan.require_finite_weights(model, what, when)

    def _position(self) -> Position:
        return Position(
            epoch=self._epoch,
            batch=self._batches_done,
            steps_per_epoch=self.params["steps"],
            histories={  # copies: it may be written after the logs of this epoch were added
                model: {name: list(values) for name, values in history.items()}
                for model, history in self.histories.items()
            },
            seconds=self.seconds_before + time.monotonic() - self._begun,
            saved=time.time(),
            models=list(self.models),
        )

    def _write(self) -> None:
        """Writes what is unwritten, if anything is; of several processes, one writes."""
        with self._writing:  # the thread of a signal may be here too
            if self._unwritten is None:
                return
            start = time.monotonic()
            (position, state), self._unwritten = self._unwritten, None
            if machines.is_chief(self.model.distribute_strategy):
                if not self._is_tidy:  # what other trainings and a killed process left
                    checkpoint_files.keep_only(self.folder, self._written)
                    self._is_tidy = True
                checkpoint_files.write(self.folder, position, state)
            self._written, self._saved = position, time.monotonic()
            self._cost = self._saved - start

    def _restore(self, labels: Any) -> None:
        """Restores the models, after making what Keras makes in their first step."""
        if self._restored is None:
            return
        for model in self.models.values():
            compiled_metrics.build(model._compile_metrics, labels, model.num_classes)
        training_state.restore(self.models, self._restored[1])
        self._restored = None

    def _step_again(self) -> None:
        if isinstance(self.model.train_function, DroppedSteps):
            self.model.train_function = self.model.train_function.step

    def _end_if_signalled(self) -> None:
        if self._signals.received:
            self._write()
            self._tell(f"saved after {self._position().step_text}")
            self._signals.act()
