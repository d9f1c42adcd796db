"""What the fast paths cost in accuracy: fewer views of an image, the teacher cache, bfloat16.

Shows   held-out top-1 of the same student, taught with 1, 2 or 5 views of each image from a cache,
        with a new view every epoch from the teacher beside it, and all in float32; the student
        alone with 2 and with new views; every seed, the mean paired difference to the one with new
        views and its 95 % interval over seeds (t), and the time: the teacher's pass over the views,
        made once for all seeds, and the training.
On      a tenth of train, held out (--validate-on-holdout), so that the recipe's number of views can
        be chosen by it; the `tiny_imagenet` recipe, one teacher trained on the other nine tenths,
        seeds 0 to 2.
Takes   about an hour on two CPU cores, the teacher's training not counted; what is finished is
        not done again.

    scripts/tiny_imagenet_select.sh DIR      # trains the teacher, among others
    python scripts/fast_paths_study.py --data-dir DIR --teacher runs/select/teacher/student.keras
"""

import time
from pathlib import Path
from typing import Any

import click

from kd_keras import files
from kd_keras.cli import quiet
from kd_keras.results.metrics import statistics

quiet.import_tensorflow()

from kd_keras.job import train  # noqa: E402
from kd_keras.job.cache import make_cache  # noqa: E402
from kd_keras.job.recipe import recipe_files  # noqa: E402
from kd_keras.results.terminal.screen import Screen  # noqa: E402

SEEDS, MAX_VIEWS = (0, 1, 2), 5
ONLINE, ALONE = "new every epoch, online", "alone, new every epoch"
CACHED, FLOAT32 = "5 views, cached", "5 views, cached, float32"
ARMS: dict[str, dict[str, Any]] = {
    ONLINE: {"views": 0},
    CACHED: {"views": 5, "cache": "always"},
    "2 views, cached": {"views": 2, "cache": "always"},
    "1 view, cached": {"views": 1, "cache": "always"},
    FLOAT32: {"views": 5, "cache": "always", "precision": "float32"},
    ALONE: {"views": 0, "method": ["none"]},
    "alone, 2 views": {"views": 2, "method": ["none"]},
}


@click.command(help=__doc__.splitlines()[0])
@click.option("--data-dir", required=True, help="what kdk train --data-dir takes")
@click.option("--teacher", required=True, help="a .keras file, trained with --validate-on-holdout")
@click.option("--runs", default="runs/fast_paths", help="folder for the study's runs")
@click.option("--out", default="docs/fast_paths.json", show_default=True)
def main(data_dir: str, teacher: str, runs: str, out: str) -> None:
    screen, folder = Screen(), Path(runs)
    settings = {"data_dir": data_dir, "teacher": teacher, "validate_on_holdout": True}
    rows = []
    for name, arm in ARMS.items():
        seconds = teacher_pass({**settings, **arm}, folder, screen)
        results = [
            trained({**settings, **arm, "seed": seed}, name, folder, screen) for seed in SEEDS
        ]
        rows.append({"arm": name, "teacher_pass_seconds": seconds, **summary(results)})
    by_name = {row["arm"]: row for row in rows}
    for row in rows:
        plain = by_name[ALONE if row["arm"].startswith("alone") else ONLINE]
        row["difference"] = difference(row, plain)
    show(rows, screen)
    halved = difference(by_name[CACHED], by_name[FLOAT32])
    screen.say(f"bfloat16 minus float32, {CACHED}: {in_points(halved)}")
    files.write_json(Path(out), {"rows": rows, "bfloat16_minus_float32": halved})


def difference(row: dict[str, Any], other: dict[str, Any]) -> tuple[float, float, float]:
    """Points of top-1 by which a row is above another, seed by seed: mean, low, high."""
    pairs = zip(row["top1"], other["top1"], strict=True)
    return statistics.paired_interval([100 * (a - b) for a, b in pairs])


def in_points(interval: tuple[float, float, float]) -> str:
    mean, low, high = interval
    return f"{mean:+.2f} ({low:+.2f} to {high:+.2f})"


def teacher_pass(settings: dict[str, Any], folder: Path, screen: Screen) -> float:
    """Seconds for the arm's views of a pass that made the cache of all, timed when it was made."""
    if "cache" not in settings or not settings["views"]:
        return 0.0
    recipe = recipe_files.resolve("tiny_imagenet", {**settings, "views": MAX_VIEWS})
    mark = folder / f"seconds-of-{MAX_VIEWS}-views-{recipe.precision}.txt"
    if not mark.is_file():
        started = time.perf_counter()
        make_cache.run(recipe, screen=screen)
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(f"{time.perf_counter() - started:.1f}")
    return float(mark.read_text()) * settings["views"] / MAX_VIEWS


def trained(settings: dict[str, Any], name: str, folder: Path, screen: Screen) -> dict[str, Any]:
    """results.json of one run."""
    run = folder / f"{name.replace(' ', '-').replace(',', '')}-{settings['seed']}"
    recipe = recipe_files.resolve("tiny_imagenet", settings)
    return train.run(recipe, run=str(run), export_dir=str(run / "saved_models"), screen=screen)


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    students = [result["student"] for result in results]
    return {
        "top1": [student["top1"] for student in students],
        "training_seconds": [student["seconds"]["training"] for student in students],
    }


def show(rows: list[dict[str, Any]], screen: Screen) -> None:
    table = []
    for row in rows:
        table.append(
            [
                row["arm"],
                " / ".join(f"{100 * value:.2f}" for value in row["top1"]),
                "" if row["arm"] in (ONLINE, ALONE) else in_points(row["difference"]),
                f"{row['teacher_pass_seconds']:.0f}",
                " / ".join(f"{value:.0f}" for value in row["training_seconds"]),
            ]
        )
    columns = ["views", "top-1 %", "to new views every epoch", "teacher's pass, s", "training, s"]
    screen.table("held-out tenth of train, seeds 0 / 1 / 2", columns, table)


if __name__ == "__main__":
    main()
