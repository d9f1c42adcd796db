"""Whether the gain comes from what the teacher knows: the same student, teachers that know nothing.

Shows   the student alone, with label smoothing, taught by the trained teacher, by the same network
        with random weights, and by the trained teacher with its classes permuted: top-1, its mean
        gain over the student alone with a 95 % interval over seeds, agreement with the teacher,
        predictive KL and calibration error.
On      the official Tiny ImageNet archive, or a part of it in its layout (--data-dir), evaluated on
        the official validation split after the last epoch.
Budget  equal for all: the `tiny_imagenet` recipe's student, epochs, batch and schedule, with `kd`
        at temperature 4 and weights 0.9 and 0.1. No setting was chosen on these runs.
Takes   about half an hour for three seeds at 32x32 on two CPU cores; finished runs are kept.

    kdk train --data-dir DIR --image-size 32 --run tiny32
    python scripts/control_study.py --data-dir DIR --teacher runs/tiny32/teacher.keras
"""

from pathlib import Path
from typing import Any

import bench_jobs  # beside this file
import click
import numpy as np

from kd_keras import files
from kd_keras.cli import quiet
from kd_keras.results.metrics import statistics
from kd_keras.results.terminal.screen import Screen

quiet.import_tensorflow()

import keras  # noqa: E402

from kd_keras.job import train  # noqa: E402
from kd_keras.job.recipe import recipe_files  # noqa: E402
from kd_keras.models import model_files  # noqa: E402

KD = ["kd:temperature=4,weight=0.9,ce_weight=0.1"]
ALONE = "alone"
PLAIN = {
    ALONE: {"method": ["none"]},
    "label smoothing 0.1": {"method": ["none"], "label_smoothing": 0.1},
}
TAUGHT = ("trained teacher", "untrained teacher", "trained teacher, classes permuted")


@click.command(help=__doc__.splitlines()[0])
@click.option("--data-dir", required=True, help="folder of the dataset, as for kdk train")
@click.option("--teacher", required=True, help="a trained teacher's .keras file")
@click.option("--image-size", default=32, show_default=True)
@click.option("--seeds", default=3, show_default=True)
@click.option("--runs", default="runs/controls", show_default=True, help="folder of finished runs")
@click.option("--out", default="docs/controls.json", show_default=True, help="file to write")
def main(data_dir: str, teacher: str, image_size: int, seeds: int, runs: str, out: str) -> None:
    screen, folder = Screen(), Path(runs)
    common = {"data_dir": data_dir, "image_size": image_size, "timing": False}
    settings: dict[str, dict[str, Any]] = dict(PLAIN)
    for name, path in zip(TAUGHT, _teachers(Path(teacher), folder), strict=True):
        settings[name] = {"method": KD, "teacher": str(path), "allow_weak_teacher": True}
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in settings}
    for seed in range(seeds):
        for name, fields in settings.items():
            recipe = recipe_files.resolve("tiny_imagenet", {**common, **fields, "seed": seed})
            run = folder / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}"
            result = train.run(
                recipe, run=str(run), export_dir=str(run / "saved_models"), screen=screen
            )
            results[name].append(result["student"])
    rows = [_row(name, runs_of_name, results[ALONE]) for name, runs_of_name in results.items()]
    columns = ["student", "top-1 %", "gain", "95 % over seeds", "agreement %", "KL, nats", "ECE"]
    screen.table("Official validation, means over seeds", columns, [_words(row) for row in rows])
    about = {
        "machine": bench_jobs.machine(),
        "image_size": image_size,
        "epochs": recipe_files.resolve("tiny_imagenet", common).epochs,
        "seeds": seeds,
        "method": KD[0],
    }
    files.write_json(Path(out), {"about": about, "rows": rows})


def _teachers(trained: Path, folder: Path) -> tuple[Path, Path, Path]:
    """The trained teacher, one with random weights, and one whose classes are permuted."""
    folder.mkdir(parents=True, exist_ok=True)
    untrained, permuted = folder / "untrained.keras", folder / "permuted.keras"
    if not untrained.exists():
        keras.utils.set_random_seed(0)
        new_model = keras.models.clone_model(model_files.open_model(trained))
        new_model.save(untrained)
    if not permuted.exists():
        model = model_files.open_model(trained)
        last = model.layers[-1]
        kernel, bias = last.get_weights()  # (features, C), (C,)
        # A rotation of a random order: no class keeps its place.
        order = np.random.default_rng(0).permutation(len(bias))
        places = np.empty_like(order)
        places[order] = np.roll(order, 1)
        last.set_weights([kernel[:, places], bias[places]])
        model.save(permuted)
    return trained, untrained, permuted


def _row(name: str, students: list[dict[str, Any]], alone: list[dict[str, Any]]) -> dict[str, Any]:
    top1 = [student["top1"] for student in students]
    gains = [100 * (s["top1"] - a["top1"]) for s, a in zip(students, alone, strict=True)]
    row: dict[str, Any] = {"student": name, "top1": top1}
    if name != ALONE:
        row["gain"] = statistics.paired_interval(gains)
    for key in ("agreement", "predictive_kl"):
        if students[0].get(key) is not None:
            row[key] = float(np.mean([student[key] for student in students]))
    row["ece"] = float(np.mean([student["calibration"]["ece"] for student in students]))
    return row


def _words(row: dict[str, Any]) -> list[str]:
    mean, low, high = row.get("gain", (None, None, None))
    return [
        row["student"],
        f"{100 * np.mean(row['top1']):.2f}",
        "" if mean is None else f"{mean:+.2f}",
        "" if mean is None else f"{low:+.2f} to {high:+.2f}",
        f"{100 * row['agreement']:.1f}" if "agreement" in row else "",
        f"{row['predictive_kl']:.2f}" if "predictive_kl" in row else "",
        f"{row['ece']:.3f}",
    ]


if __name__ == "__main__":
    main()
