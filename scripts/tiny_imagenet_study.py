"""What the `tiny_imagenet` recipe gains on real data, seed by seed.

Shows   teacher, student alone and distilled student: top-1 of each seed, the mean paired gain with
        its 95 % interval over seeds (t) and over images (bootstrap).
On      the official archive, or a part of it in its layout (--data-dir); evaluation on the official
        validation split, last epoch.
Budget  the recipe's; seeds 3 to 5, of which nothing was chosen by; one teacher. The student alone
        has the better of its own learning rates, chosen on a held-out tenth of train.
Takes   about 40 minutes on two CPU cores; what is finished is not done again.

    python scripts/tiny_imagenet_study.py --data-dir DIR [--teacher FILE]
"""

from pathlib import Path
from typing import Any

import click
import numpy as np

from kd_keras import data, files
from kd_keras.job import train
from kd_keras.job.recipe import recipe_files
from kd_keras.results.metrics import statistics
from kd_keras.results.terminal.screen import Screen

BASELINE_RATES = (0.5, 1.0)  # times the recipe's: the student alone has its pick
SEEDS = (3, 4, 5)
PICTURE = Path(__file__).parent.parent / "docs" / "tiny_imagenet.png"


@click.command()
@click.option("--data-dir", required=True, help="what kdk train --data-dir takes")
@click.option("--runs", default="runs/study", help="folder for the study's runs")
@click.option("--teacher", help="of an earlier study; by default, the first run trains it")
def main(data_dir: str, runs: str, teacher: str | None) -> None:
    screen, folder = Screen(), Path(runs)
    factor = max(BASELINE_RATES, key=lambda f: float(_alone(folder, data_dir, f, screen)))
    rate = recipe_files.load("tiny_imagenet").learning_rate * factor
    results, right = [], []
    for seed in SEEDS:
        settings = {"data_dir": data_dir, "seed": seed, "baseline": True}
        settings["baseline_learning_rate"] = rate
        if seed != SEEDS[0] or teacher:
            settings["teacher"] = teacher or str(folder / f"final-{SEEDS[0]}" / "teacher.keras")
        results.append(_run(settings, folder / f"final-{seed}", screen))
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
    mean, low, high = statistics.paired_interval(gains)
    screen.say(f"gain over seeds: {mean:.2f} points, 95 % interval {low:.2f} to {high:.2f}")
    for seed, correct in zip(SEEDS, right, strict=True):
        interval = statistics.bootstrap_interval(correct["student"], correct["baseline"], seed=0)
        mean, low, high = (100 * value for value in interval)
        screen.say(f"gain of seed {seed}: {mean:.2f} points, {low:.2f} to {high:.2f} over images")
    files.write_json(PICTURE.with_suffix(".json"), {"gains": gains, "results": results})
    _draw(results)


def _draw(results: list[dict[str, Any]]) -> None:
    """The README's picture: top-1 of every seed, student alone beside distilled student."""
    from matplotlib import figure

    drawing = figure.Figure(figsize=(6.4, 2.6), layout="constrained")
    axes = drawing.subplots()
    bars = {"teacher": "#9aa5b1", "baseline": "#e0a458", "student": "#2a7f62"}
    names = {"teacher": "teacher", "baseline": "student alone", "student": "student distilled"}
    for place, (model, colour) in enumerate(bars.items()):
        top1 = [100 * result[model]["top1"] for result in results]
        parameters = results[0][model]["parameters"]
        axes.barh(place, np.mean(top1), color=colour, height=0.6)
        axes.plot(top1, [place] * len(top1), "k|", markersize=12)
        label = f"{np.mean(top1):.1f} %   {parameters:,} parameters"
        axes.text(np.mean(top1) + 1.2, place, label, va="center", fontsize=9)
    axes.set_yticks(range(len(bars)), [names[model] for model in bars])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.7 * max(100 * r["teacher"]["top1"] for r in results))
    axes.set_xlabel("top-1 on the official validation images, %; a tick a seed")
    axes.spines[["top", "right"]].set_visible(False)
    drawing.savefig(PICTURE, dpi=150)


def _alone(folder: Path, data_dir: str, factor: float, screen: Screen) -> str:
    rate = recipe_files.load("tiny_imagenet").learning_rate * factor
    settings = {
        "data_dir": data_dir,
        "validate_on_holdout": True,
        "method": ["none"],
        "learning_rate": rate,
    }
    return _accuracy(_run(settings, folder / f"select-alone-{factor:g}", screen))


def _run(settings: dict[str, Any], folder: Path, screen: Screen) -> dict[str, Any]:
    recipe = recipe_files.resolve("tiny_imagenet", settings)
    return train.run(
        recipe, run=str(folder), export_dir=str(folder / "saved_models"), screen=screen
    )


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
