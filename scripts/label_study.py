"""What distillation gains where only some labels are known: 10 %, 30 % and all of them.

Shows   student alone and distilled student: top-1 of each share of labels and seed, the gain with
        its 95 % interval over images (bootstrap), and the mean over seeds.
On      Tiny ImageNet, the official archive or a part of it in its layout (--data-dir); evaluated on
        the official validation split, last epoch.
Budget  the `tiny_imagenet` recipe's pair and settings, 5 epochs, method kd, 2 seeds. The student
        alone takes as many steps as the distilled one, on the labelled images. The teacher is one
        for all, trained on all labels; the distilled student sees all images.
Takes   7 trainings of the student's size and one of the teacher's a seed; what is finished is not
        done again, so it may be stopped and started.

    python scripts/label_study.py --data-dir DIR [--teacher FILE]       # writes docs/labels.json
    python scripts/label_study.py --data-dir DIR --teacher FILE --set image_size=32
"""

from collections import Counter
from pathlib import Path
from typing import Any

import bench_jobs  # beside this file
import click

from kd_keras import data, files
from kd_keras.job import train
from kd_keras.job.recipe import recipe_files
from kd_keras.results.terminal.screen import Screen

SHARES, SEEDS = (0.1, 0.3, 1.0), (0, 1)
OUT = Path(__file__).parent.parent / "docs" / "labels.json"


@click.command()
@click.option("--data-dir", required=True, help="what kdk train --data-dir takes")
@click.option("--runs", default="runs/labels", help="folder for the study's runs")
@click.option("--teacher", help="a .keras file; by default, the first run trains one")
@click.option("--epochs", default=5, show_default=True, help="of the students")
@click.option("--method", default="kd", show_default=True, help="spec of the method")
@click.option("--set", "sets", multiple=True, help="FIELD=VALUE of the recipe")
@click.option("--out", default=str(OUT), show_default=False, help="JSON file to write")
def main(
    data_dir: str,
    runs: str,
    teacher: str | None,
    epochs: int,
    method: str,
    sets: tuple[str, ...],
    out: str,
) -> None:
    screen, folder = Screen(), Path(runs)
    images = min(Counter(data.load("tiny_imagenet", data_dir=data_dir).train.labels).values())
    rows: list[dict[str, Any]] = []
    for seed in SEEDS:
        for share in sorted(SHARES, reverse=True):
            per_class = None if share == 1 else max(1, round(share * images))
            run = folder / f"{share:g}-{seed}"
            settings = {
                **{"data_dir": data_dir, "epochs": epochs, "method": [method], "seed": seed},
                **{"baseline": True, "labels_per_class": per_class, "timing": False},
                **({"teacher": teacher} if teacher else {}),
            }
            recipe = recipe_files.resolve("tiny_imagenet", settings, sets)
            exports = str(run / "saved_models")
            results = train.run(recipe, run=str(run), export_dir=exports, screen=screen)
            teacher = teacher or str(run / "teacher.keras")
            rows.append(_row(share, per_class, seed, results))
            about = {"machine": bench_jobs.machine(), "method": method, "epochs": epochs}
            about |= {"sets": sets, "teacher_top1": round(100 * results["teacher"]["top1"], 2)}
            files.write_json(Path(out), {"about": about, "means": _means(rows), "runs": rows})
    cells = [
        [f"{share:.0%}", *(f"{mean[name]:.1f}" for name in ("alone", "distilled", "gain"))]
        for share, mean in ((row["share"], row) for row in _means(rows))
    ]
    columns = ["labels", "student alone", "distilled", "gain"]
    screen.table(f"Official validation, top-1 %, mean of {len(SEEDS)} seeds", columns, cells)


def _row(share: float, per_class: int | None, seed: int, results: dict[str, Any]) -> dict[str, Any]:
    """Accuracies in %, the gain and its interval in points."""
    (entry,) = [
        entry
        for entry in results["comparisons"]
        if (entry["phase"], entry["other"]) == ("student", "baseline")
    ]
    return {
        **{"share": share, "labels_per_class": per_class, "seed": seed},
        "labelled": results["data"].get("labelled_images", results["data"]["train_images"]),
        "alone": round(100 * results["baseline"]["top1"], 2),
        "distilled": round(100 * results["student"]["top1"], 2),
        **{k: round(100 * entry[v], 2) for k, v in _POINTS.items()},
    }


_POINTS = {"gain": "difference", "low": "low", "high": "high"}


def _means(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over the seeds that are done, by share of the labels."""
    means = []
    for share in SHARES:
        share_rows = [row for row in rows if row["share"] == share]
        if share_rows:
            names = ("alone", "distilled", "gain")
            values = {n: round(sum(r[n] for r in share_rows) / len(share_rows), 2) for n in names}
            means.append({"share": share, "seeds": len(share_rows), **values})
    return means


if __name__ == "__main__":
    main()
