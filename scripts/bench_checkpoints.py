"""Measures what checkpoints cost: seconds each, megabytes, and their share of training time.

    python scripts/bench_checkpoints.py --output docs/checkpoints.json

One part writes checkpoints of several students with Adam, once each after two steps. The other
trains a student on digits, whose epochs take a second or less, with the default settings, and adds
up the seconds in which checkpoints are made.
"""

import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np
from torture_resume import processor

from kd_keras import Distiller, models
from kd_keras.distill.callbacks import checkpoint as checkpoint_module
from kd_keras.distill.callbacks.checkpoint import DEFAULT_MINUTES, Checkpoint

STUDENTS = ("resnet8", "resnet20", "shufflenetv2", "wrn_16_2", "vgg8")
SIDE, CLASSES, BATCH = 64, 200, 16


@click.command()
@click.option("--epochs", default=100, show_default=True, help="epochs of the training on digits")
@click.option("--output", type=Path, help="JSON file to write")
def main(epochs: int, output: Path | None) -> None:
    results = {
        "processor": processor(),
        "cores": os.cpu_count(),
        "one": [one(name) for name in STUDENTS],
        "short_epochs": short_epochs(epochs),
    }
    print(json.dumps(results, indent=2))
    if output:
        output.write_text(json.dumps(results, indent=2) + "\n")


def one(name: str) -> dict[str, Any]:
    """The median of five checkpoints of a student of 64 x 64 pixels and 200 classes."""
    student = models.get(name, num_classes=CLASSES, input_shape=(SIDE, SIDE, 3))
    x = np.zeros((BATCH, SIDE, SIDE, 3), "uint8")
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint, spent = timed(Checkpoint(scratch, minutes=0))
        fit(student, x, np.zeros(BATCH, "int32"), epochs=6, checkpoint=checkpoint)
        size = max(path.stat().st_size for path in Path(scratch).glob("*.npz"))
    seconds = statistics.median(spent[1:])
    return {
        "student": name,
        "parameters": student.count_params(),
        "megabytes": size / 1e6,
        "seconds": seconds,
        "share_at_default": seconds / (60 * DEFAULT_MINUTES),
    }


def short_epochs(epochs: int) -> dict[str, float]:
    """The share of time that checkpoints take in a training whose epochs are short."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (1500, 8, 8, 3)).astype("uint8"), rng.integers(0, 10, 1500)
    student = models.get("resnet8", num_classes=10, input_shape=(8, 8, 3))
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint, spent = timed(Checkpoint(scratch))
        start = time.perf_counter()
        fit(student, x, y.astype("int32"), epochs=epochs, checkpoint=checkpoint, batch_size=64)
        seconds = time.perf_counter() - start
    return {
        "epochs": epochs,
        "seconds": seconds,
        "checkpoints": len(spent),
        "share": sum(spent) / seconds,
    }


def timed(checkpoint: Checkpoint) -> tuple[Checkpoint, list[float]]:
    """The callback, and a list that gets the seconds of each checkpoint that it writes."""
    spent: list[float] = []
    read, write = checkpoint_module.training_state.read, checkpoint._write
    reading = [0.0]

    def timed_read(models: Any) -> Any:
        start = time.perf_counter()
        state = read(models)
        reading[0] += time.perf_counter() - start
        return state

    def timed_write() -> None:
        is_due, start = checkpoint._unwritten is not None, time.perf_counter()
        write()
        if is_due:
            spent.append(time.perf_counter() - start + reading[0])
            reading[0] = 0.0

    checkpoint_module.training_state.read = timed_read
    checkpoint._write = timed_write  # type: ignore[method-assign]
    return checkpoint, spent


def fit(
    student: keras.Model,
    x: np.ndarray,
    y: np.ndarray,
    *,
    epochs: int,
    checkpoint: Checkpoint,
    batch_size: int = BATCH,
) -> None:
    distiller = Distiller(student)
    distiller.compile(keras.optimizers.Adam(0.001))
    distiller.fit(
        x, y, batch_size=batch_size, epochs=epochs, callbacks=[checkpoint], verbose=0, shuffle=False
    )


if __name__ == "__main__":
    main()
