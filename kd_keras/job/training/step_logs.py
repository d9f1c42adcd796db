"""Logs the means of every N steps, so that a long epoch can be watched."""

import csv
import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from kd_keras import check
from kd_keras.distill.step.log_names import SHARE_SUFFIX
from kd_keras.results.loggers import tensorboard_logs
from kd_keras.results.terminal.screen import Screen

STEP = "step"


class StepLogs(keras.callbacks.Callback):
    """Writes what training logs every `every` steps: to a CSV file, to TensorBoard, as a line.

    A value is the mean over the steps since the last one, or since the epoch began. It is NaN while
    nothing is known, as of the cross-entropy before the first known label; the line and TensorBoard
    leave it out. A training that goes on writes again what the file holds of the steps before.

    Args:
        every: number of steps, >= 1, counted from the begin of the training.
        file: path of the CSV file.
        folder: folder of TensorBoard's event files.
        screen: where lines are shown.
        what: what trains, in a word or two.
        steps_before: number of steps that were trained before.
    """

    def __init__(
        self,
        every: int,
        *,
        file: Path,
        folder: Path,
        screen: Screen,
        what: str,
        steps_before: int = 0,
    ) -> None:
        super().__init__()
        self.every = check.whole_number("every", every, at_least=1)
        self.file, self.folder, self.screen, self.what = file, folder, screen, what
        rows = _read_rows(file) if steps_before else []
        self.rows = [row for row in rows if row[STEP] <= steps_before]
        self._begin = 0  # steps of the epochs before
        self._writer = tensorboard_logs.StepWriter(folder)

    def on_train_begin(self, logs: Any = None) -> None:
        self.file.unlink(missing_ok=True)
        for row in self.rows:
            self._write(row)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._begin = epoch * (self.params["steps"] or 0)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        step = self._begin + batch + 1
        if step % self.every or (self.rows and step <= self.rows[-1][STEP]):
            return
        row = {STEP: float(step), **self._since_last(batch + 1, logs or {})}
        rate = getattr(self.model.optimizer, "learning_rate", None)
        if rate is not None:
            row["learning_rate"] = float(keras.ops.convert_to_numpy(rate))
        self.rows.append(row)
        self._write(row)
        values = [f"{name} {row[name]:.4g}" for name in ("loss", "top1") if _has_value(row, name)]
        self.screen.say(f"{self.what}, step {step:,}: {', '.join(values)}")

    def on_train_end(self, logs: Any = None) -> None:
        self._writer.close()

    def _since_last(self, batches: int, logs: Mapping[str, Any]) -> dict[str, float]:
        """Means over the steps since the last row, from the means since the epoch began."""
        epoch_rows = [row for row in self.rows if row[STEP] > self._begin]
        starts = [float(self._begin), *(row[STEP] for row in epoch_rows)]
        lengths = [end - start for start, end in itertools.pairwise(starts)]
        length = self._begin + batches - starts[-1]
        result: dict[str, float] = {}
        for name, mean in logs.items():
            if not name.endswith(SHARE_SUFFIX):
                pairs = zip(lengths, epoch_rows, strict=True)
                known_values = [(n, row[name]) for n, row in pairs if _has_value(row, name)]
                steps_before = sum(n for n, _ in known_values)
                total = float(mean) * (steps_before + length)
                result[name] = (total - sum(n * value for n, value in known_values)) / length
        return result

    def _write(self, row: Mapping[str, float]) -> None:
        is_new = not self.file.exists()
        with self.file.open("a", newline="") as file:  # a line at a time: there may be many
            writer = csv.DictWriter(file, list(self.rows[0]), restval="", extrasaction="ignore")
            if is_new:
                writer.writeheader()
            writer.writerow(row)
        values = {name: row[name] for name in row if name != STEP and _has_value(row, name)}
        self._writer.write(int(row[STEP]), values)


def _has_value(row: Mapping[str, float], name: str) -> bool:
    return not math.isnan(row.get(name, math.nan))


def _read_rows(file: Path) -> list[dict[str, float]]:
    """The rows of a file that `StepLogs` wrote; none if there is no file or it is damaged."""
    if not file.is_file():
        return []
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    complete_lines = [line for line in lines if line.endswith("\n")]  # a kill may cut the last one
    try:
        rows = [
            {n: float(v) for n, v in row.items() if v} for row in csv.DictReader(complete_lines)
        ]
    except (ValueError, TypeError, csv.Error):
        return []
    return rows if all(STEP in row for row in rows) else []
