"""Callbacks of a training: its speed, a progress bar, a line per epoch."""

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

import keras

from kd_keras import check
from kd_keras.results.terminal.screen import Screen


class Speed(keras.callbacks.Callback):
    """Adds `images_per_second` and `learning_rate` to the logs of an epoch.

    It must come before callbacks that write logs. Time is measured from the begin of the first
    training step to the end of the last, without validation. The first step of a fit, which
    compiles, does not count if there are others. The learning rate is the one after the epoch.
    Where all steps of the first epoch were done before, the speed is that of the whole training
    before.

    Args:
        images_per_step: the global batch size.
        skipped: steps of the first epoch that were done before and take no time.
        seconds_before: time that all steps took that were done before.
    """

    def __init__(
        self, images_per_step: int, *, skipped: int = 0, seconds_before: float = 0.0
    ) -> None:
        super().__init__()
        self._seconds_before = seconds_before
        self.images_per_step = check.whole_number("images_per_step", images_per_step, at_least=1)
        self._skipped = skipped
        self._compiles = True
        # (steps of the epoch that are done, seconds): the first step's begin and end, the last end
        self._marks: list[tuple[int, float]] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self._compiles = True

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._marks = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if not self._marks and batch >= self._skipped:
            self._marks.append((batch, time.perf_counter()))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch >= self._skipped:
            self._marks = [*self._marks[:2], (batch + 1, time.perf_counter())]

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        marks = self._marks[1:] if self._compiles and len(self._marks) > 2 else self._marks
        steps_before = epoch * ((self.params or {}).get("steps") or 0) + self._skipped
        self._compiles, self._skipped = False, 0
        if logs is None:
            return
        if len(marks) > 1:
            (first, start), (last, end) = marks[0], marks[-1]
            logs["images_per_second"] = (last - first) * self.images_per_step / (end - start)
        elif self._seconds_before:
            logs["images_per_second"] = steps_before * self.images_per_step / self._seconds_before
        else:
            return
        rate = getattr(self.model.optimizer, "learning_rate", None)
        if rate is not None:
            logs["learning_rate"] = float(keras.ops.convert_to_numpy(rate))


class Bar(keras.callbacks.Callback):
    """A progress bar for each epoch; use it in a `with`, which ends an interrupted bar.

    Args:
        screen: where the bar is shown.
        what: what trains, in a word or two.
        images_per_step: the global batch size.
    """

    def __init__(self, screen: Screen, what: str, images_per_step: int) -> None:
        super().__init__()
        self.screen, self.what = screen, what
        self.images_per_step = check.whole_number("images_per_step", images_per_step, at_least=1)
        self._bar = contextlib.ExitStack()
        self._advance: Callable[..., None] = lambda n: None
        self._steps_done = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        images = (self.params["steps"] or 0) * self.images_per_step
        self._steps_done = 0
        title = _title(self.what, epoch, self.params)
        self._advance = self._bar.enter_context(self.screen.progress(title, images))

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._show(batch)

    def on_test_begin(self, logs: Any = None) -> None:
        self._show(self.params["steps"])

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._show(self.params["steps"])
        self._bar.close()

    def _show(self, steps: int | None) -> None:
        """Moves the bar to `steps`, unless the number of all steps is unknown."""
        if steps is not None:
            self._advance((steps - self._steps_done) * self.images_per_step)
            self._steps_done = steps


class EpochLine(keras.callbacks.Callback):
    """A line after each epoch: loss, accuracies, and the speed if `Speed` comes before.

    Args:
        screen: where the line is shown.
        what: what trains, in a word or two.
    """

    def __init__(self, screen: Screen, what: str) -> None:
        super().__init__()
        self.screen, self.what = screen, what

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.screen.say(f"{_title(self.what, epoch, self.params)}: {_format_logs(logs or {})}")


class FolderCheck(keras.callbacks.Callback):
    """Checks before anything is written that the run folder is still there.

    Args:
        require: raises an error if it is not; called after every step and every epoch.
    """

    def __init__(self, require: Callable[[], None]) -> None:
        super().__init__()
        self._require = require

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._require()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._require()


def _title(what: str, epoch: int, params: Mapping[str, Any]) -> str:
    return f"{what}, epoch {epoch + 1}/{params['epochs']}"


def _format_logs(logs: Mapping[str, float]) -> str:
    phrases = [f"loss {logs['loss']:.4f}"] if "loss" in logs else []
    accuracies = ("top1", "val_top1", "held_out_top1", "val_map", "val_f1", "held_out_map")
    phrases += [f"{name} {logs[name]:.1%}" for name in accuracies if name in logs]
    if "images_per_second" in logs:
        phrases.append(f"{logs['images_per_second']:,.0f} images/s")
    return ", ".join(phrases)
