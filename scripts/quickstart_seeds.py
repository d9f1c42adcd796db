"""What the `quickstart` recipe gains, seed by seed.

Shows   teacher, student alone and distilled student: top-1 of each seed, the mean paired gain with
        its 95 % interval over seeds (t), and of each seed its interval over images (bootstrap).
On      scikit-learn's digits, the recipe's validation images; last epoch. A seed also decides which
        ten images of a class keep their label.
Budget  the recipe's; five seeds.
Takes   two to four minutes a seed on two CPU cores; what is finished is not done again.

    python scripts/quickstart_seeds.py  # writes docs/quickstart.json
    python scripts/quickstart_seeds.py --validate-on-holdout --set epochs=12 --runs runs/try
"""

from pathlib import Path
from typing import Any

import bench_jobs  # beside this file
import click

from kd_keras import files
from kd_keras.job import train
from kd_keras.job.recipe import recipe_files
from kd_keras.results.metrics import statistics
from kd_keras.results.terminal.screen import Screen

SEEDS = range(5)
OUT = Path(__file__).parent.parent / "docs" / "quickstart.json"
MODELS = ("teacher", "baseline", "student")


@click.command()
@click.option("--runs", default="runs/quickstart_seeds", help="folder for the runs")
@click.option(
    "--validate-on-holdout",
    "on_holdout",
    is_flag=True,
    help="measure on a held-out tenth of train; writes no file",
)
@click.option("--set", "sets", multiple=True, help="FIELD=VALUE of the recipe; writes no file")
@click.option("--seeds", default=len(SEEDS), show_default=True, help="how many")
def main(runs: str, on_holdout: bool, sets: tuple[str, ...], seeds: int) -> None:
    screen, folder = Screen(), Path(runs)
    rows = [
        _row(
            seed,
            _run(seed, sets, folder / f"seed-{seed}", screen, on_holdout=on_holdout),
        )
        for seed in range(seeds)
    ]
    gains = [row["gain"] for row in rows]
    columns = ["seed", *MODELS, "gain", "low", "high", "seconds"]
    cells = [[row["seed"], *(f"{row[name]:.1f}" for name in columns[1:])] for row in rows]
    screen.table("Top-1 %, and points of gain with their interval over images", columns, cells)
    summary: dict[str, Any] = {
        name: round(sum(row[name] for row in rows) / len(rows), 2) for name in MODELS
    }
    summary |= dict(zip(("gain", "low", "high"), statistics.paired_interval(gains), strict=True))
    screen.say(
        f"mean gain: {summary['gain']:.1f} points, 95 % interval {summary['low']:.1f} to "
        f"{summary['high']:.1f} over {len(rows)} seeds"
    )
    if not (on_holdout or sets) and seeds == len(SEEDS):
        files.write_json(OUT, {"machine": bench_jobs.machine(), "mean": summary, "seeds": rows})


def _run(
    seed: int, sets: tuple[str, ...], folder: Path, screen: Screen, *, on_holdout: bool
) -> dict[str, Any]:
    settings = {"seed": seed, "baseline": True, "validate_on_holdout": on_holdout}
    recipe = recipe_files.resolve("quickstart", settings, sets)
    return train.run(
        recipe, run=str(folder), export_dir=str(folder / "saved_models"), screen=screen
    )


def _row(seed: int, results: dict[str, Any]) -> dict[str, Any]:
    """Accuracies in %, the gain and its interval in points, and the seconds of the run."""
    (entry,) = [
        entry
        for entry in results["comparisons"]
        if (entry["phase"], entry["other"]) == ("student", "baseline")
    ]
    seconds = sum(
        (results[model]["seconds"]["training"] or 0) + results[model]["seconds"]["measuring"]
        for model in MODELS
    )
    return {
        "seed": seed,
        **{model: round(100 * results[model]["top1"], 2) for model in MODELS},
        "gain": round(100 * entry["difference"], 2),
        "low": round(100 * entry["low"], 2),
        "high": round(100 * entry["high"], 2),
        "seconds": round(seconds, 1),
        "images": entry["images"],
        "data": results["data"]["summary"],
    }


if __name__ == "__main__":
    main()
