"""Why some methods lose to plain training in the published table: the budget, or their weight?

Shows   for each method that loses there or cannot be told from the student alone: its gain with the
        default weight and with another one, at the table's budget, and the gain of the better one
        at twice that budget, each with a 95 % interval over images.
On      the official Tiny ImageNet archive, or a part of it in its layout (--data-dir). A held-out
        tenth of the training images chooses the weight; the official validation split judges it.
Budget  two epochs to choose, four to judge; the `tiny_imagenet` recipe's student and settings, one
        seed. The other weight is a tenth of the default for methods that lose, and ten times the
        default for those that cannot be told apart.
Takes   about half an hour at 32x32 on two idle CPU cores; finished trainings are kept.

    kdk train --data-dir DIR --image-size 32 --run tiny32
    python scripts/losing_methods_study.py --data-dir DIR --teacher runs/tiny32/teacher.keras
"""

import json
from pathlib import Path
from typing import Any

import bench_jobs  # beside this file
import click
import compare_methods
from method_pages import KNOBS

from kd_keras import files
from kd_keras.job.images import dataset
from kd_keras.job.models import build
from kd_keras.job.recipe import recipe_files
from kd_keras.results.terminal.screen import Screen

#: Factor of the default weight of the other weight that is tried.
LOSES, UNDECIDED = 0.1, 10
FACTORS = {
    **dict.fromkeys(("at", "rkd", "crd", "ab", "fsp"), LOSES),
    **dict.fromkeys(("cc", "uskd", "dml", "vid", "ft", "ickd", "kdsvd"), UNDECIDED),
}
CHOOSING_EPOCHS, EPOCHS = 2, 4


@click.command(help=__doc__.splitlines()[0])
@click.option("--data-dir", required=True, help="folder of the dataset, as for kdk train")
@click.option("--teacher", required=True, help="a trained teacher's .keras file")
@click.option("--image-size", default=32, show_default=True)
@click.option("--only-choose", is_flag=True, help="leave the trainings of twice the budget out")
@click.option("--chosen", metavar="FILE", help="take the weights chosen in this output, and judge")
@click.option("--runs", default="runs/losing", show_default=True, help="folder of finished runs")
@click.option("--out", default="docs/losing_methods.json", show_default=True, help="file to write")
def main(
    data_dir: str,
    teacher: str,
    image_size: int,
    only_choose: bool,
    chosen: str | None,
    runs: str,
    out: str,
) -> None:
    screen, folder = Screen(), Path(runs)
    common = {"data_dir": data_dir, "teacher": teacher, "image_size": image_size}
    study = json.loads(Path(chosen).read_text()) if chosen else choose(common, folder, screen)
    files.write_json(Path(out), study)
    if not only_choose:
        judge(study, common, folder, screen)
        files.write_json(Path(out), study)
    _show(study["rows"], screen)


def choose(common: dict[str, Any], folder: Path, screen: Screen) -> dict[str, Any]:
    """Trains every method with both weights, validated on the held-out tenth."""
    recipe = recipe_files.resolve(
        "tiny_imagenet", {**common, "epochs": CHOOSING_EPOCHS, "validate_on_holdout": True}
    )
    specs = {name: (_spec(name, 1), _spec(name, factor)) for name, factor in FACTORS.items()}
    results = gains(
        recipe, [s for pair in specs.values() for s in pair], folder / "choosing", screen
    )
    about = {
        **{"machine": bench_jobs.machine(), "image_size": recipe.image_size, "seed": recipe.seed},
        **{"choosing_epochs": CHOOSING_EPOCHS, "epochs": EPOCHS, "batch_size": recipe.batch_size},
    }
    rows = [
        {
            "method": name,
            "default": results[default],
            "other": {"factor": FACTORS[name], **results[other]},
        }
        for name, (default, other) in specs.items()
    ]
    alone = {"choosing": results[compare_methods.ALONE]}
    return {"about": about, "alone": alone, "rows": rows}


def judge(study: dict[str, Any], common: dict[str, Any], folder: Path, screen: Screen) -> None:
    """Trains every method with its better weight at twice the budget; adds "better" to the rows."""
    better = {}
    for row in study["rows"]:
        factor = row["other"]["factor"] if row["other"]["top1"] > row["default"]["top1"] else 1
        better[row["method"]] = _spec(row["method"], factor)
    recipe = recipe_files.resolve("tiny_imagenet", {**common, "epochs": EPOCHS})
    results = gains(recipe, list(better.values()), folder / "judged", screen)
    for row in study["rows"]:
        spec = better[row["method"]]
        row["better"] = {"spec": spec, **results[spec]}
    study["alone"]["judged"] = results[compare_methods.ALONE]
    study["about"]["judged_on"] = bench_jobs.machine()


def _show(rows: list[dict[str, Any]], screen: Screen) -> None:
    columns = ["method", "default", "other weight", f"better, {EPOCHS} epochs"]
    cells = [
        [
            row["method"],
            *(
                in_points(row[k]["gain"]) if k in row else ""
                for k in ("default", "other", "better")
            ),
        ]
        for row in rows
    ]
    screen.table("Gain over the student alone, points", columns, cells)


def gains(
    recipe: recipe_files.Recipe, specs: list[str], folder: Path, screen: Screen
) -> dict[str, dict[str, Any]]:
    """Trains a student with each spec and one alone; gives top-1 and gain of each spec."""
    loaded = dataset.load(recipe, screen)
    names = [compare_methods.ALONE, *specs]
    compare_methods.train_missing(recipe, names, loaded, folder, screen)
    rows = [compare_methods.row_of(folder, name, loaded) for name in names]
    return {row["method"]: {"top1": row["mean"], "gain": row["gain"]} for row in rows}


def _spec(name: str, factor: float) -> str:
    """The method with its default weight times a factor, and the knobs that the table gives it."""
    weight = build.make_methods([name], num_examples=2)[0].weight * factor
    return f"{name}:" + ",".join([*([KNOBS[name]] if name in KNOBS else []), f"weight={weight:g}"])


def in_points(gain: list[float] | None) -> str:
    """A gain and its interval in points of accuracy; None: weights became NaN or infinite."""
    if gain is None:
        return "diverged"
    mean, low, high = (100 * value for value in gain)
    return f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"


if __name__ == "__main__":
    main()
