"""What `fit` and the data pipeline take from the student's step, with a cached teacher.

Shows   images a second of the bare compiled step on one batch that is there, and of the same
        Distiller in `fit` with all of `kdk train`'s callbacks on crops and mirrored images from a
        memory-mapped store and the teacher's rows from a cache on disk; medians of interleaved
        rounds in one process, with one step and eight an execution.
On      random images of 64x64, batches of 128, student ResNet8.
Takes   about three minutes on two idle CPU cores.

    python scripts/bench_fit.py --out docs/bench_fit.json
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from kd_keras import files
from kd_keras.cli import quiet
from kd_keras.results.terminal.screen import Screen

quiet.import_tensorflow()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from kd_keras import Distiller, methods, models  # noqa: E402
from kd_keras.data import pipeline  # noqa: E402
from kd_keras.data.augmentation import light  # noqa: E402
from kd_keras.data.stores.store import Split  # noqa: E402
from kd_keras.distill.callbacks import stop_on_nan  # noqa: E402
from kd_keras.graph.precision import best_precision  # noqa: E402
from kd_keras.job.training import progress_callbacks  # noqa: E402
from kd_keras.results.loggers import tensorboard_logs  # noqa: E402
from kd_keras.teacher_cache import writer  # noqa: E402
from kd_keras.teacher_cache.file_format import Header  # noqa: E402
from kd_keras.teacher_cache.reader import Cache  # noqa: E402

IMAGES, SIZE, NUM_CLASSES, BATCH = 20_000, 64, 200, 128
ROUNDS, STEPS = 7, 80
POLICY = light(crop_padding=8, flip=True)


@click.command(help=__doc__.splitlines()[0])
@click.option("--out", default="docs/bench_fit.json", show_default=True)
def main(out: str) -> None:
    screen = Screen()
    with tempfile.TemporaryDirectory() as folder:
        split = store(Path(folder) / "images.npy")
        rows = cache(Path(folder) / "rows", split)
        results = {f"{n} a call": measured(split, rows, n, Path(folder)) for n in (1, 8)}
    table = [
        [name, f"{bare:,.0f}", f"{fit:,.0f}", f"{fit / bare:.3f}"]
        for name, (bare, fit) in results.items()
    ]
    screen.table("images/s", ["steps", "bare step", "in fit", "ratio"], table)
    files.write_json(Path(out), {"precision": best_precision(), "images_a_second": results})


def store(path: Path) -> Split:
    rng = np.random.default_rng(0)
    np.save(path, rng.integers(0, 256, (IMAGES, SIZE, SIZE, 3), dtype=np.uint8))
    labels = rng.integers(0, NUM_CLASSES, IMAGES).astype(np.int32)
    return Split(np.load(path, mmap_mode="r"), labels, np.arange(IMAGES))


def cache(folder: Path, split: Split) -> Cache:
    """Rows of noise, which are read as fast as any."""
    header = Header(
        teacher="noise",
        data="noise",
        augment=POLICY.to_json(),
        view_seed=0,
        views=1,
        examples=len(split),
        outputs={"logits": (NUM_CLASSES,)},
    )
    rng = np.random.default_rng(0)
    writer.make(folder, header, split, lambda x: {"logits": rng.normal(size=(len(x), NUM_CLASSES))})
    return Cache(folder)


def measured(split: Split, rows: Cache, executed: int, folder: Path) -> tuple[float, float]:
    """Median images a second of the bare step, and in fit."""
    student = models.get(
        "resnet8", num_classes=NUM_CLASSES, input_shape=(SIZE, SIZE, 3), stem_stride=2
    )
    distiller = Distiller(
        student, teacher=rows, methods=methods.get("kd"), precision=best_precision()
    )
    distiller.compile(metrics=["accuracy"], steps_per_execution=executed)
    distiller.optimizer.build(distiller.trainable_variables)
    plan = pipeline.BatchPlan(split, batch_size=BATCH, seed=0, policy=POLICY, views=1)
    batches = plan.dataset(0, (ROUNDS + 1) * STEPS, teacher=rows)
    between = Between(distiller, next(iter(batches)))
    history = distiller.fit(
        batches,
        epochs=ROUNDS + 1,
        steps_per_epoch=STEPS,
        verbose=0,
        callbacks=[
            between,
            progress_callbacks.Bar(Screen(), "fit", BATCH),
            stop_on_nan.StopOnNaN(),
            progress_callbacks.Speed(BATCH),
            keras.callbacks.CSVLogger(str(folder / f"{executed}.csv")),
            tensorboard_logs.callback(folder / f"logs-{executed}"),
        ],
    )
    return statistics.median(between.speeds[1:]), statistics.median(
        history.history["images_per_second"][1:]
    )


class Between(keras.callbacks.Callback):
    """Runs the bare step before each epoch of fit."""

    def __init__(self, distiller: Distiller, batch: Any):
        super().__init__()
        self.speeds: list[float] = []
        self._step, self._batch = tf.function(distiller.train_step), batch

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        float(self._step(self._batch)["loss"])  # compiled by now
        started = time.perf_counter()
        for _ in range(STEPS):
            float(self._step(self._batch)["loss"])
        self.speeds.append(STEPS * BATCH / (time.perf_counter() - started))


if __name__ == "__main__":
    main()
