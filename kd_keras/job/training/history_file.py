"""Writes a model's history as CSV after each epoch."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from kd_keras import files


class HistoryFile(keras.callbacks.Callback):
    """Writes the whole history after each epoch: a column "epoch" and one for each log.

    It comes after the callback that adds the epoch to `history`. The file is written anew each
    time, so a training that goes on after an interruption leaves no epoch out or twice.

    Args:
        path: path of the CSV file.
        history: logs by name, one value per epoch from epoch 0.
    """

    def __init__(self, path: Path, history: Mapping[str, Sequence[float]]) -> None:
        super().__init__()
        self.path, self.history = path, history

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        names = sorted(self.history)
        epochs = range(max(map(len, self.history.values()), default=0))
        with files.atomic_write(self.path) as new_path, new_path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["epoch", *names])
            writer.writerows(
                [epoch, *(self.history[name][epoch] for name in names)] for epoch in epochs
            )
