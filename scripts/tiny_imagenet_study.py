"""The study behind the `tiny_imagenet` recipe: what was tried, and what the chosen settings give.

Shows   what distillation gains on real Tiny ImageNet, with its spread.
On      the official archive, or a part of it in its layout (--data-dir).
Budget  the recipe's. `select` uses a held-out tenth of train and seed 0; `final` the official
        validation split, last epoch, seeds 0 to 2, one teacher for all.
Takes   about an hour and a half on two CPU cores; what is finished is not done again.

    python scripts/tiny_imagenet_study.py select --data-dir DIR
    python scripts/tiny_imagenet_study.py final --data-dir DIR
"""

import json
from pathlib import Path
from typing import Any

import click
import numpy as np

from kd_keras import data, recipe, report, train
from kd_keras.screen import Screen

BASELINE_RATES = (1.0, 2.0)  # times the recipe's: the student alone has its pick
SEEDS = (0, 1, 2)
TRIED = (
    "kd:temperature=4,weight=0.9,ce_weight=0.1",
    "kd:temperature=2,weight=0.5,ce_weight=0.5",
    "kd:temperature=2,weight=0.9,ce_weight=0.1",
    "lskd:temperature=2,weight=9,ce_weight=0.1",
    "dkd:temperature=4,beta=2",
    "dist:temperature=4",
)


@click.command()
@click.argument("stage", type=click.Choice(["select", "final"]))
@click.option("--data-dir", required=True, help="what kdk train --data-dir takes")
@click.option("--runs", default="runs/study", help="folder for the study's runs")
def main(stage: str, data_dir: str, runs: str) -> None:
    screen, folder = Screen(), Path(runs)
    {"select": select, "final": final}[stage](data_dir, folder, screen)


def select(data_dir: str, folder: Path, screen: Screen) -> None:
    """One seed, held-out tenth: every method tried, and the student alone at its learning rates."""
    teacher = folder / "select-teacher" / "teacher.keras"
    rows = []
    for number, method in enumerate(TRIED):
        # The first run trains the teacher; the others take it from its folder.
        given = {"data_dir": data_dir, "select": True, "method": [method]}
        if number:
            given["teacher"] = str(teacher)
        name = "select-teacher" if not number else f"select-{number}"
        rows.append([method, _accuracy(_run(given, folder / name, screen))])
    for factor in BASELINE_RATES:
        rows.append([f"alone, learning rate x{factor:g}", _alone(folder, data_dir, factor, screen)])
    screen.table("Held-out tenth of train, seed 0", ["student", "top-1 %"], rows)


def final(data_dir: str, folder: Path, screen: Screen) -> None:
    """The recipe as it is, seeds 0 to 2, on the official validation split."""
    factor = max(BASELINE_RATES, key=lambda f: float(_alone(folder, data_dir, f, screen)))
    rate = recipe.load("tiny_imagenet").learning_rate * factor
    results, right = [], []
    for seed in SEEDS:
        given = {"data_dir": data_dir, "seed": seed, "baseline": True}
        given["baseline_learning_rate"] = rate
        if seed:
            given["teacher"] = str(folder / "final-0" / "teacher.keras")
        results.append(_run(given, folder / f"final-{seed}", screen))
        right.append(_right(folder / f"final-{seed}", data_dir))
    _report(results, right, rate, screen)


def _report(
    results: list[dict[str, Any]],
    right: list[dict[str, np.ndarray]],
    rate: float,
    screen: Screen,
) -> None:
    rows = [
        [seed, *(_accuracy(r, model) for model in ("teacher", "baseline", "student"))]
        for seed, r in zip(SEEDS, results, strict=True)
    ]
    title = f"Official validation, top-1 %; student alone at its better learning rate, {rate:g}"
    screen.table(title, ["seed", "teacher", "student alone", "distilled"], rows)
    gains = [100 * (r["student"]["top1"] - r["baseline"]["top1"]) for r in results]
    mean, low, high = report.paired_interval(gains)
    screen.say(f"gain over seeds: {mean:.2f} points, 95 % interval {low:.2f} to {high:.2f}")
    for seed, correct in zip(SEEDS, right, strict=True):
        interval = report.bootstrap_interval(correct["student"], correct["baseline"], seed=0)
        mean, low, high = (100 * value for value in interval)
        screen.say(f"gain of seed {seed}: {mean:.2f} points, {low:.2f} to {high:.2f} over images")
    screen.say(json.dumps({"gains": gains, "results": results}))


def _alone(folder: Path, data_dir: str, factor: float, screen: Screen) -> str:
    rate = recipe.load("tiny_imagenet").learning_rate * factor
    given = {"data_dir": data_dir, "select": True, "method": ["none"], "learning_rate": rate}
    return _accuracy(_run(given, folder / f"select-alone-{factor:g}", screen))


def _run(given: dict[str, Any], folder: Path, screen: Screen) -> dict[str, Any]:
    asked = recipe.resolve("tiny_imagenet", given)
    return train.run(asked, run=str(folder), export_dir=str(folder / "saved_models"), screen=screen)


def _accuracy(result: dict[str, Any], model: str = "student") -> str:
    return f"{100 * result[model]['top1']:.2f}"


def _right(folder: Path, data_dir: str) -> dict[str, np.ndarray]:
    """Whether each validation image was recognised, (N,) bool, by model."""
    labels = data.load("tiny_imagenet", data_dir=data_dir).validation.labels
    return {
        model: np.load(folder / f"{model}-predictions.npy") == labels
        for model in ("baseline", "student")
    }


if __name__ == "__main__":
    main()
