"""Why some methods do not help: is it the optimizer?

Shows   the gain over the student alone of the methods that losing_methods_study.py leaves at or
        below it, with Adam and with SGD (Nesterov momentum 0.9, as most of their papers train):
        at the rate that is best for the student alone, at that rate with the gradient clipped, and
        at a lower one, near the papers' own. With a 95 % interval over images.
On      the official Tiny ImageNet archive, or a part of it in its layout (--data-dir). A held-out
        tenth of the training images chooses the learning rate of SGD for the student alone; the
        official validation split judges.
Budget  two epochs to choose, --epochs to judge; the student and settings of the `tiny_imagenet`
        recipe, the weights that losing_methods_study.py chose, one teacher, one seed.
Takes   about half an hour at 32x32 on two idle CPU cores; finished trainings are kept.

    kdk train --data-dir DIR --image-size 32 --run tiny32
    python scripts/optimizer_study.py --data-dir DIR --teacher runs/tiny32/teacher.keras
"""

import json
from pathlib import Path
from typing import Any

import bench_jobs  # beside this file
import click
import compare_methods
import losing_methods_study

from kd_keras import files
from kd_keras.job.images import dataset
from kd_keras.job.models import build
from kd_keras.job.recipe import recipe_files
from kd_keras.results.evaluation import measure_model
from kd_keras.results.terminal.screen import Screen

METHODS = ("ab", "fsp", "cc", "uskd", "dml", "ft")
RATES = (0.03, 0.1, 0.3, 1.0, 3.0)
CHOOSING_EPOCHS = 2
SGD: dict[str, Any] = {"optimizer": "sgd", "momentum": 0.9}
LOW_RATE, CLIP_NORM = 0.3, 1.0  # papers have 0.05 for batches of 64: 0.2 for 256


@click.command(help=__doc__.splitlines()[0])
@click.option("--data-dir", required=True, help="folder of the dataset, as for kdk train")
@click.option("--teacher", required=True, help="a trained teacher's .keras file")
@click.option("--image-size", default=32, show_default=True)
@click.option("--epochs", default=4, show_default=True, help="of the trainings that judge")
@click.option("--weights", default="docs/losing_methods.json", show_default=True)
@click.option("--runs", default="runs/optimizers", show_default=True, help="finished trainings")
@click.option("--out", default="docs/optimizer_study.json", show_default=True, help="to write")
def main(
    data_dir: str, teacher: str, image_size: int, epochs: int, weights: str, runs: str, out: str
) -> None:
    screen, folder = Screen(), Path(runs)
    common = {"data_dir": data_dir, "teacher": teacher, "image_size": image_size}
    rate_scores = _choose_rate(common, folder, screen)
    best = SGD | {"learning_rate": max(rate_scores, key=lambda rate: rate_scores[rate])}
    arms = {
        "adam": {},
        "sgd": best,
        "sgd, clipped": best | {"clip_norm": CLIP_NORM},
        "sgd, low rate": SGD | {"learning_rate": LOW_RATE},
    }
    specs = _specs(Path(weights))
    study: dict[str, Any] = {
        "about": {
            **{"machine": bench_jobs.machine(), "image_size": image_size, "arms": arms},
            **{"choosing_epochs": CHOOSING_EPOCHS, "epochs": epochs, "seed": 0},
            "alone_by_learning_rate": {f"{rate:g}": top1 for rate, top1 in rate_scores.items()},
        },
        "rows": [{"method": name, "spec": spec} for name, spec in specs.items()],
    }
    for arm, settings in arms.items():
        recipe = recipe_files.resolve("tiny_imagenet", {**common, "epochs": epochs, **settings})
        results = losing_methods_study.gains(recipe, list(specs.values()), folder / arm, screen)
        study["about"].setdefault("alone", {})[arm] = results[compare_methods.ALONE]["top1"]
        study["about"]["teacher_top1"] = _teacher_top1(recipe, screen)
        for row in study["rows"]:
            row[arm] = results[row["spec"]]
        files.write_json(Path(out), study)
    cells = [
        [row["method"], *(losing_methods_study.in_points(row[arm]["gain"]) for arm in arms)]
        for row in study["rows"]
    ]
    screen.table("Gain over the student alone, points", ["method", *arms], cells)


def _choose_rate(common: dict[str, Any], folder: Path, screen: Screen) -> dict[float, float]:
    """Top-1 of the student alone on the held-out tenth, by the learning rate of SGD."""
    top1 = {}
    for rate in RATES:
        options = {**common, "epochs": CHOOSING_EPOCHS, "validate_on_holdout": True, **SGD}
        recipe = recipe_files.resolve("tiny_imagenet", {**options, "learning_rate": rate})
        results = losing_methods_study.gains(recipe, [], folder / f"rate-{rate:g}", screen)
        top1[rate] = results[compare_methods.ALONE]["top1"]
    return top1


def _specs(path: Path) -> dict[str, str]:
    """Each method with the weight that losing_methods_study.py chose for it."""
    rows = json.loads(path.read_text())["rows"]
    return {row["method"]: row["better"]["spec"] for row in rows if row["method"] in METHODS}


def _teacher_top1(recipe: recipe_files.Recipe, screen: Screen) -> float:
    loaded = dataset.load(recipe, screen)
    scores = measure_model.scores(build.make_teacher(recipe, loaded), loaded.validation)
    return float(measure_model.accuracy(scores, loaded.validation.labels))


if __name__ == "__main__":
    main()
