"""Trains one student with every method and the same teacher and budget, and writes a table.

Shows   top-1 on the official validation split, last epoch, of the student alone and by each
        method with its paper's defaults: every seed, the mean gain over the student alone of the
        same seeds, and its 95 % interval over images.
On      the official Tiny ImageNet archive, or a part of it in its layout (--data-dir).
Budget  equal for all: the `tiny_imagenet` recipe's student, batch, optimizer and schedule, --epochs
        epochs. No method's knobs or learning rate were chosen on these data. To choose knobs,
        --set validate_on_holdout=true evaluates on a held-out tenth of train.
Takes   two and a quarter hours for two epochs of 50,000 images on two CPU cores that had other
        work too, without the teacher's training. The teacher runs once per batch for --together
        students. Finished training runs are stored in --out and not repeated.

    kdk train --data-dir DIR --run teacher && python scripts/compare_methods.py --data-dir DIR \
        --teacher runs/teacher/teacher.keras
    python scripts/compare_methods.py --data-dir DIR --teacher FILE --epochs 4 \
        --set validate_on_holdout=true --set image_size=32 --only at:weight=10 \
        --only at:weight=100 --table runs/at.json
"""

import json
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from method_pages import KNOBS  # beside this file

from kd_keras import files
from kd_keras.cli import quiet

quiet.import_tensorflow()

import keras  # noqa: E402

from kd_keras import methods  # noqa: E402
from kd_keras.data import pipeline  # noqa: E402
from kd_keras.data.stores.store import Dataset  # noqa: E402
from kd_keras.distill import side_by_side  # noqa: E402
from kd_keras.distill.distiller import Distiller  # noqa: E402
from kd_keras.job.images import dataset  # noqa: E402
from kd_keras.job.models import build  # noqa: E402
from kd_keras.job.recipe import recipe_files  # noqa: E402
from kd_keras.job.recipe.recipe_files import Recipe  # noqa: E402
from kd_keras.job.training import optimizer, progress_callbacks  # noqa: E402
from kd_keras.results.evaluation import measure_model  # noqa: E402
from kd_keras.results.terminal.screen import Screen  # noqa: E402

ALONE = "none"
SEEDS = {"logits": 3, "features": 2}


@click.command(help=__doc__.splitlines()[0])
@click.option("--data-dir", required=True, help="folder of the dataset, as for kdk train")
@click.option("--teacher", required=True, help="a trained teacher's .keras file")
@click.option("--epochs", default=2, show_default=True)
@click.option("--only", multiple=True, metavar="METHOD", help="name or spec; by default, all names")
@click.option("--set", "sets", multiple=True, metavar="FIELD=VALUE", help="of the recipe")
@click.option("--seeds", default=0, help="number of seeds; 0: 3 for logit methods, 2 for others")
@click.option("--together", default=7, show_default=True, help="students on one teacher pass")
@click.option("--out", default="runs/compare", show_default=True, help="folder of finished runs")
@click.option("--table", default="docs/comparison.json", show_default=True, help="file to write")
def main(
    data_dir: str,
    teacher: str,
    epochs: int,
    only: Sequence[str],
    sets: Sequence[str],
    seeds: int,
    together: int,
    out: str,
    table: str,
) -> None:
    screen, folder = Screen(), Path(out)
    options = {"data_dir": data_dir, "teacher": teacher, "epochs": epochs}
    recipe = recipe_files.resolve("tiny_imagenet", options, sets)
    loaded = dataset.load(recipe, screen)
    names = [ALONE, *(only or methods.names())]
    for seed in range(seeds or max(SEEDS.values())):
        of_seed = [name for name in names if seed < (seeds or _seeds_of(name))]
        seeded = recipe.model_copy(update={"seed": seed})
        train_missing(seeded, of_seed, loaded, folder, screen, together)
    rows = [row_of(folder, name, loaded) for name in names]
    about = {"setting": _setting(recipe, loaded), "knobs": KNOBS}
    files.write_json(Path(table), {"about": about, "rows": _show(rows, screen)})


def train_missing(
    recipe: Recipe,
    names: Sequence[str],
    loaded: Dataset,
    folder: Path,
    screen: Screen,
    together: int = 7,
) -> None:
    """Trains, with the recipe's seed, what has no finished training in the folder yet."""
    model = build.make_teacher(recipe, loaded)
    missing = [name for name in names if not _file(folder, name, recipe.seed).exists()]
    for views, group in _groups(missing, together):
        screen.say(f"seed {recipe.seed}: {', '.join(group)}")
        train_together(recipe, group, model, loaded, views, folder)


def train_together(
    recipe: Recipe,
    names: Sequence[str],
    model: keras.Model,
    loaded: Dataset,
    views: int,
    folder: Path,
) -> None:
    """Trains a student by each method, all on the same batches and the same teacher pass."""
    steps = pipeline.steps_per_epoch(loaded.train, recipe.batch_size)
    total = recipe.epochs * steps
    distillers = {name: _distiller(recipe, name, model, loaded, total) for name in names}
    plan = pipeline.BatchPlan(
        loaded.train,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        policy=loaded.augment,
        view_seed=recipe.view_seed,
        views_per_image=views,
    )
    batches = plan.dataset(0, total)
    with progress_callbacks.Bar(Screen(), "training", recipe.batch_size) as bar:
        side_by_side.SideBySideModel(distillers).fit(
            batches, epochs=recipe.epochs, steps_per_epoch=steps, callbacks=[bar], verbose=0
        )
    for name, distiller in distillers.items():
        _keep(folder, name, recipe.seed, distiller, loaded)
    keras.backend.clear_session()


def _distiller(
    recipe: Recipe, name: str, model: keras.Model, loaded: Dataset, steps: int
) -> Distiller:
    specs = [] if name == ALONE else [_spec(name)]
    chosen_methods = build.make_methods(specs, num_examples=len(loaded.train.images))
    keras.utils.set_random_seed(recipe.seed)  # every student starts from the same weights
    student = build.make(recipe.student[0], loaded)
    teacher = model if chosen_methods else None
    distiller = Distiller(
        student, teacher=teacher, methods=chosen_methods, precision=optimizer.precision(recipe)
    )
    distiller.total_steps = steps
    distiller.compile(
        optimizer.make(
            recipe,
            recipe.learning_rate,
            epochs=1,
            steps=steps,
            model=student,
            methods=chosen_methods,
        )
    )
    return distiller


def _keep(folder: Path, name: str, seed: int, distiller: Distiller, loaded: Dataset) -> None:
    """Writes the training's accuracy, predictions, and whether its weights are finite at all."""
    finite = all(np.isfinite(v.numpy()).all() for v in distiller.deployed.variables)
    result: dict[str, Any] = {"method": name, "spec": _spec(name), "seed": seed, "finite": finite}
    if finite:
        scores = measure_model.scores(distiller.deployed, loaded.validation)
        result["top1"] = measure_model.accuracy(scores, loaded.validation.labels)
        result["top5"] = measure_model.accuracy(scores, loaded.validation.labels, k=5)
        result["parameters"] = distiller.deployed.count_params()
        folder.mkdir(parents=True, exist_ok=True)
        np.save(_file(folder, name, seed).with_suffix(".npy"), np.argmax(scores, axis=1))
    files.write_json(_file(folder, name, seed), result)


def _setting(recipe: Recipe, loaded: Dataset) -> str:
    """What the table was made with, in a sentence or two."""
    teacher = build.make_teacher(recipe, loaded)
    top1 = measure_model.accuracy(
        measure_model.scores(teacher, loaded.validation), loaded.validation.labels
    )
    held_out = recipe.validate_on_holdout
    images = "a held-out tenth of the training images" if held_out else "official validation"
    return (
        f"Tiny ImageNet, {loaded.summary()}; teacher {teacher.name} of "
        f"{teacher.count_params():,} parameters, {100 * top1:.1f} % top-1; student "
        f"{recipe.student[0]}; {recipe.epochs} epochs in batches of {recipe.batch_size}, "
        f"{recipe.optimizer} with a {recipe.schedule} rate up to {recipe.learning_rate:g}, which "
        f"was chosen for the student alone; augmentation {recipe.augment}; last epoch, "
        f"{images}."
    )


def _show(rows: list[dict[str, Any]], screen: Screen) -> list[dict[str, Any]]:
    """The rows, best first, as shown."""
    rows = sorted(rows, key=lambda row: -row["mean"])
    rows_to_print = [
        [
            row["spec"],
            "  ".join(f"{100 * value:.2f}" for value in row["top1"]),
            f"{100 * row['mean']:.2f}",
            *(("", "") if row["gain"] is None else _in_points(row["gain"])),
        ]
        for row in rows
    ]
    columns = ["method", "top-1 % by seed", "mean", "gain", "95 % over images"]
    screen.table("One student by every method", columns, rows_to_print)
    return rows


def row_of(folder: Path, name: str, loaded: Dataset) -> dict[str, Any]:
    """A method's top-1 of each seed, and its gain over the student alone of the same seeds."""
    paths = sorted(folder.glob(f"{_file(folder, name, 0).stem.removesuffix('0')}[0-9].json"))
    results = [json.loads(path.read_text()) for path in paths]
    top1 = [result.get("top1", 0.0) for result in results]
    gain = None
    if name != ALONE and all(result["finite"] for result in results):
        distilled, alone = (
            np.mean([_right(folder, student, r["seed"], loaded) for r in results], axis=0)
            for student in (name, ALONE)
        )
        gain = _mean_and_interval(distilled - alone)
    return {
        "method": name,
        "spec": _spec(name),
        "top1": top1,
        "mean": float(np.mean(top1)),
        "gain": gain,
        "finite": all(result["finite"] for result in results),
        "parameters": max(result.get("parameters", 0) for result in results),
    }


def _mean_and_interval(differences: np.ndarray) -> list[float]:
    """Mean, low, high of one difference an image, already averaged over seeds (normal, 95 %)."""
    mean = float(differences.mean())
    half = 1.96 * float(differences.std(ddof=1)) / math.sqrt(len(differences))
    return [mean, mean - half, mean + half]


def _in_points(gain: Sequence[float]) -> tuple[str, str]:
    mean, low, high = (100 * value for value in gain)
    return f"{mean:+.2f}", f"{low:+.2f} to {high:+.2f}"


def _right(folder: Path, name: str, seed: int, loaded: Dataset) -> np.ndarray:
    predicted = np.load(_file(folder, name, seed).with_suffix(".npy"))
    return (predicted == loaded.validation.labels).astype("float64")


def _groups(names: Sequence[str], together: int) -> Iterable[tuple[int, list[str]]]:
    """Methods that can share batches: (views of each image, their names)."""
    by_views: dict[int, list[str]] = {}
    for name in names:
        by_views.setdefault(1 if name == ALONE else _method(name).views_per_image, []).append(name)
    for views, members in by_views.items():
        yield from ((views, members[i : i + together]) for i in range(0, len(members), together))


def _seeds_of(name: str) -> int:
    reads_features = name != ALONE and (_method(name).student_taps or _method(name).needs_ids)
    return SEEDS["features" if reads_features else "logits"]


def _method(name: str) -> Any:
    return methods.get(name.partition(":")[0])


def _spec(name: str) -> str:
    return f"{name}:{KNOBS[name]}" if name in KNOBS else name


def _file(folder: Path, name: str, seed: int) -> Path:
    return folder / f"{re.sub('[:,=]', '-', name)}-{seed}.json"


if __name__ == "__main__":
    main()
