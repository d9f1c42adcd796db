"""What the whole job costs: a student trained from a ready teacher, by kdk and by Keras's own.

Shows   seconds from command to end and the most anonymous memory (RssAnon of the process and its
        children, ten samples a second; a mapped file does not count) of `kdk train` and of
        keras.distillation with a tf.data pipeline that reads the JPEGs, each in a process of its
        own (scripts/keras_distillation.py), with validation every epoch; making the store, once
        for all; and a training from a ready teacher cache beside the time of its steps alone.
On      Tiny ImageNet: 25,000 and 50,000 of its training images, 200,000 by repeating them, and the
        validation images. A teacher has random weights unless one is given: the speed is the same.
Takes   about two hours on two idle CPU cores. A row is in the file as soon as it is measured and is
        not measured again without --again, so that the table can be made in several calls.

    python scripts/bench_train.py --data-dir DIR
    python scripts/bench_train.py --data-dir DIR --images 50000 --batch 128 --only cached
"""

import csv
import dataclasses
import itertools
import json
import math
import os
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

import bench_jobs  # beside this file
import click

from kd_keras import files
from kd_keras.results.terminal.screen import Screen

TEACHER, STUDENT, METHOD = "resnet18:stem_stride=2", "resnet8:stem_stride=2", "kd"
ROOT = "tiny-imagenet-200"
OURS, KERAS = "kdk train", "keras.distillation"
CACHE, FOUND, NAMED = "kdk cache", "kdk train, cache found", "kdk train --teacher cache:"
WAYS = {"ours": (OURS,), "keras": (KERAS,), "cached": (CACHE, FOUND, NAMED)}
# Images and batch sizes of each way that is measured; 1024 is for the memory.
TABLE = ((25_000, 128), (50_000, 128), (200_000, 128), (50_000, 1024), (200_000, 1024))
TABLES = {"ours": TABLE, "keras": TABLE, "cached": ((50_000, 128),)}
MAKE_STORE = """
import sys
from kd_keras import data
data.load("tiny_imagenet", data_dir=sys.argv[1])
"""
KERAS_JOB = str(Path(__file__).with_name("keras_distillation.py"))


@click.command(help=__doc__.splitlines()[0])
@click.option("--data-dir", required=True, help=f"folder that holds {ROOT}/")
@click.option("--images", type=int, multiple=True, help="training images [those of the table]")
@click.option(
    "--batch", type=int, multiple=True, help="[with --images 128, else those of the table]"
)
@click.option("--only", multiple=True, type=click.Choice(list(WAYS)), help="[all]")
@click.option("--epochs", default=1, show_default=True, help="of ours and keras")
@click.option("--views", default=5, show_default=True, help="and epochs, of cached")
@click.option("--validation", default=10_000, show_default=True, help="validation images")
@click.option("--teacher", help=f"a .keras file [a {TEACHER} of random weights]")
@click.option("--repeats", default=1, show_default=True, help="of each row; medians are shown")
@click.option("--again", is_flag=True, help="measure rows anew that are in the file")
@click.option("--work", default="runs/bench", show_default=True, help="for data, stores and runs")
@click.option("--out", default="docs/bench_train.json", show_default=True)
def main(
    data_dir: str,
    images: tuple[int, ...],
    batch: tuple[int, ...],
    only: tuple[str, ...],
    epochs: int,
    views: int,
    repeats: int,
    again: bool,
    out: str,
    **places: Any,
) -> None:
    bench = Bench(Path(data_dir).resolve(), views=views, **places)
    file, rows = Path(out), []
    for name in only or WAYS:
        table = [size for size in TABLES[name] if not batch or size[1] in batch]
        sizes = list(itertools.product(images, batch or (128,))) if images else table
        for way in WAYS[name]:
            rows += [Row(way, *size, views if name == "cached" else epochs) for size in sizes]
    rows.sort(key=lambda row: (row.batch, row.images))  # ours and Keras's side by side
    runs = json.loads(file.read_text())["runs"] if file.is_file() else {}
    for key in [str(row) for row in rows] if again else []:
        runs.pop(key, None)
    for _, row in itertools.product(range(repeats), rows):
        measurements = runs.setdefault(str(row), [])
        if len(measurements) < (1 if row.way == CACHE else repeats):
            load = os.getloadavg()[0]
            measurements.append({**dataclasses.asdict(row), "load_before": load, **bench.run(row)})
            about = {"pair": [TEACHER, STUDENT], "validation": bench.validation}
            files.write_json(file, {**about, "machine": bench_jobs.machine(), "runs": runs})
    show(runs, Screen())


@dataclasses.dataclass(frozen=True)
class Row:
    way: str
    images: int
    batch: int
    epochs: int

    def __str__(self) -> str:
        return f"{self.way}, {self.images} images, batch {self.batch}, epochs {self.epochs}"


class Bench:
    """Runs the jobs, each in a process of its own, on data that it lays out below `work`."""

    def __init__(
        self, source: Path, *, work: str, teacher: str | None, validation: int, views: int
    ):
        self.source, self.work = source / ROOT, Path(work).resolve()
        self.validation, self.views = validation, views
        self.teacher = Path(teacher or self.work / "teacher.keras").resolve()
        if not teacher:
            bench_jobs.make_model(TEACHER, self.teacher, self._env(self.work))

    def run(self, row: Row) -> dict[str, Any]:
        """What a row's job took, from its command to its end."""
        ready = row.way in (FOUND, NAMED)
        # A cache of a teacher lies apart, so that no other job finds it.
        apart = "-cached" if ready or row.way == CACHE else ""
        place = self.work / f"{row.images}-{self.validation}{apart}"
        data, run = place / "data", place / "run"
        if not data.is_dir():
            lay_out(self.source, data, row.images, self.validation)
        store = self._store(place, data)
        shutil.rmtree(run, ignore_errors=True)
        options = ["--data-dir", str(data), "--teacher", str(self.teacher)]
        if row.way == KERAS:
            student = place / "student.keras"
            bench_jobs.make_model(STUDENT, student, self._env(place))
            options += ["--student", str(student), "--batch", str(row.batch)]
            options += ["--epochs", str(row.epochs)]
            return self._watched([sys.executable, KERAS_JOB, *options], place)
        if not ready:
            for name in ("teachers", "scores"):  # of an earlier run with this teacher
                shutil.rmtree(place / "cache" / name, ignore_errors=True)
        if row.way == CACHE:
            return self._watched(
                [*bench_jobs.KDK, "cache", *options, "--views", str(self.views)], place
            )
        if row.way == NAMED:
            options[-1] = f"cache:{next((place / 'cache' / 'teachers').iterdir())}"
        options += ["--views", str(self.views)] if ready else []
        options += ["--student", STUDENT, "--method", METHOD, "--allow-weak-teacher"]
        options += ["--batch-size", str(row.batch), "--epochs", str(row.epochs)]
        options += ["--run", str(run), "--export-dir", str(run / "export")]
        measured = self._watched([*bench_jobs.KDK, "train", *options], place)
        if ready and "caching the teacher" in (place / "log.txt").read_text():
            raise click.ClickException(f"{row}: the cache was not ready; give --again.")
        return {**store, **measured, **reported_times(run, row)}

    def _store(self, place: Path, data: Path) -> dict[str, float]:
        """Seconds that making the store took, which is done once."""
        mark = place / "store.json"
        if not mark.is_file():
            seconds = self._watched([sys.executable, "-c", MAKE_STORE, str(data)], place)["seconds"]
            files.write_json(mark, {"store_seconds": seconds})
        return json.loads(mark.read_text())

    def _env(self, place: Path) -> dict[str, str]:
        return bench_jobs.environment(self.work, place / "cache")

    def _watched(self, command: list[str], place: Path) -> dict[str, float]:
        return bench_jobs.watched(command, log=place / "log.txt", env=self._env(place))


def reported_times(run: Path, row: Row) -> dict[str, float]:
    """What a finished run says of its own time: the training, measuring, and its steps alone."""
    with (run / "student-history.csv").open() as file:
        speeds = [float(line["images_per_second"]) for line in csv.DictReader(file)]
    results = json.loads((run / "results.json").read_text())
    spent = [entry["seconds"] for entry in results.values() if entry and "seconds" in entry]
    num_images = row.epochs * (row.images // row.batch) * row.batch
    return {
        "steps_seconds": num_images / statistics.median(speeds),
        "training_seconds": sum(seconds["training"] or 0.0 for seconds in spent),
        "measuring_seconds": sum(seconds["measuring"] for seconds in spent),
    }


def lay_out(source: Path, data: Path, images: int, validation: int) -> None:
    """Links to `images` training images, all classes alike, repeated if there are fewer."""
    new_folder = data.with_name("data.partial")
    shutil.rmtree(new_folder, ignore_errors=True)
    wnids = (source / "wnids.txt").read_text().split()
    for wnid in wnids:
        files = sorted((source / "train" / wnid / "images").iterdir())
        folder = new_folder / ROOT / "train" / wnid / "images"
        folder.mkdir(parents=True)
        for number in range(images // len(wnids)):
            linked(files[number % len(files)], folder / f"{wnid}_{number}.JPEG")
    lines = (source / "val" / "val_annotations.txt").read_text().splitlines()[:validation]
    folder = new_folder / ROOT / "val" / "images"
    folder.mkdir(parents=True)
    for name in (line.split("\t")[0] for line in lines):
        linked(source / "val" / "images" / name, folder / name)
    (folder.parent / "val_annotations.txt").write_text("\n".join(lines) + "\n")
    for name in ("wnids.txt", "words.txt"):
        shutil.copy(source / name, new_folder / ROOT / name)
    new_folder.replace(data)


def linked(file: Path, link: Path) -> None:
    """A hard link, which costs its readers what the file itself does, or else a symbolic one."""
    try:
        link.hardlink_to(file.resolve())
    except OSError:  # on another disk, or linked too often
        link.symlink_to(file)


def show(runs: dict[str, list[dict[str, Any]]], screen: Screen) -> None:
    """The whole jobs, and, of trainings from a cache, their time over that of their steps."""
    rows = [(measurements[0], _medians(measurements)) for measurements in runs.values()]
    seconds = {key: _medians(measurements)["seconds"] for key, measurements in runs.items()}
    jobs, cached = [], []
    for row, medians in rows:
        size = (row["images"], row["batch"])
        memory = f"{medians['most_anonymous_bytes'] / 1e6:,.0f}"
        line = [row["way"], f"{size[0]:,}", size[1], row["epochs"], f"{medians['seconds']:.1f}"]
        if row["way"] in (OURS, KERAS):
            beside = str(Row(KERAS, *size, row["epochs"]))
            times = seconds.get(beside, math.nan) / medians["seconds"]
            ratio = "-" if math.isnan(times) else f"{times:.2f}"
            jobs.append([*line, ratio, memory, _tenth(medians, "store_seconds")])
        else:
            over = medians["seconds"] - medians.get("steps_seconds", math.nan)
            parts = [
                _tenth(medians, f"{name}_seconds") for name in ("steps", "training", "measuring")
            ]
            cached.append([*line, *parts, "-" if math.isnan(over) else f"{over:.1f}", memory])
    columns = ["job", "images", "batch", "epochs", "s"]
    more = ["times Keras's speed", "most memory, MB", "store, once, s"]
    screen.table("From the command to its end", columns + more, jobs)
    more = ["steps, s", "training, s", "measuring, s", "s - steps", "most memory, MB"]
    screen.table("From a teacher cache", columns + more, cached)


def _medians(runs: list[dict[str, Any]]) -> dict[str, float]:
    names = [name for name, value in runs[0].items() if isinstance(value, int | float)]
    return {name: statistics.median(run[name] for run in runs) for name in names}


def _tenth(medians: dict[str, float], name: str) -> str:
    return f"{medians[name]:.1f}" if name in medians else "-"


if __name__ == "__main__":
    main()
