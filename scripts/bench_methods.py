"""Measures each method's cost: time and memory of a training step, relative to `kd`.

Shows   median time of a step of the Distiller with the method, divided by the median with `kd`
        (both in one process, steps in turn); peak memory of the process, minus that of a process
        with `kd`; the method's number of weights (trained ones, and all).
On      the `tiny_imagenet` recipe's pair, 64x64 random images, 200 classes, 50,000 ids; the teacher
        runs in every step.
Takes   about ten minutes on two idle CPU cores; one process per method.

    python scripts/bench_methods.py            # writes docs/methods_cost.json
    python scripts/bench_methods.py --only rkd --only crd
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from kd_keras import files, methods
from kd_keras.cli import quiet
from kd_keras.job.recipe import recipe_files
from kd_keras.results.terminal.screen import Screen

NUM_CLASSES, NUM_EXAMPLES, SHAPE = 200, 50_000, (64, 64, 3)
WARM, STEPS = 3, 9
YARDSTICK = "kd"
#: Knobs for this pair of models, whose teacher has one stage more than its student.
KNOBS: dict[str, dict[str, Any]] = {
    "simkd": {"teacher_tap": "stage4"},
    "sdd": {"teacher_tap": "stage4"},
    "fsp": {"project": True},
    "kdsvd": {"project": True},
    "crd": {"num_examples": NUM_EXAMPLES},
}


@click.command(help=__doc__.splitlines()[0])
@click.option("--only", multiple=True, metavar="METHOD", help="by default, every method")
@click.option("--batch-size", default=128, show_default=True)
@click.option("--out", default="docs/methods_cost.json", show_default=True)
@click.option("--measure", hidden=True, help="one method, in this process")
def main(only: Sequence[str], batch_size: int, out: str, measure: str | None) -> None:
    if measure:
        print(json.dumps(_measure(measure, batch_size)))
        return
    screen = Screen()
    names = [YARDSTICK, *(name for name in only or methods.names() if name != YARDSTICK)]
    costs: dict[str, dict[str, Any]] = {}
    with screen.progress("methods", len(names), "methods") as advance:
        for name in names:
            costs[name] = _in_a_process(name, batch_size)
            advance()
    least = costs[YARDSTICK]["peak_megabytes"]
    for cost in costs.values():
        cost["more_megabytes"] = cost["peak_megabytes"] - least
    rows = [
        [
            name,
            f"{1000 * cost['seconds']:.0f}",
            f"{cost['ratio']:.2f}",
            f"{cost['more_megabytes']:+.0f}",
            f"{cost['trained']:,}",
            f"{cost['weights']:,}",
        ]
        for name, cost in costs.items()
    ]
    title = f"A step of batch {batch_size}; medians of {STEPS}"
    columns = ["method", "ms", f"over {YARDSTICK}", "MB more", "trained weights", "all weights"]
    screen.table(title, columns, rows)
    files.write_json(Path(out), {"batch_size": batch_size, "methods": costs})


def _in_a_process(name: str, batch_size: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--measure", name, "--batch-size", str(batch_size)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(f"{name}: {result.stderr[-2000:]}")
    return json.loads(result.stdout.splitlines()[-1])


def _measure(name: str, batch_size: int) -> dict[str, Any]:
    quiet.import_tensorflow()
    step, method = _step(name, batch_size)
    for _ in range(WARM + STEPS):
        step()
    peak = _peak_megabytes()  # before the yardstick is made
    yardstick, _ = _step(YARDSTICK, batch_size)
    for _ in range(WARM):
        yardstick()
    pairs = [(_seconds(step), _seconds(yardstick)) for _ in range(STEPS)]
    method_time, kd_time = (statistics.median(values) for values in zip(*pairs, strict=True))
    return {
        "seconds": method_time,
        "ratio": method_time / kd_time,
        "peak_megabytes": peak,
        "trained": sum(int(np.prod(v.shape)) for v in method.trainable_variables),
        "weights": sum(int(np.prod(v.shape)) for v in method.variables),
    }


def _step(name: str, batch_size: int) -> tuple[Callable[[], float], Any]:
    """A compiled training step on fixed random images, and the method it trains by."""
    import tensorflow as tf

    from kd_keras import Distiller, models
    from kd_keras.graph.precision import best_precision

    recipe = recipe_files.load("tiny_imagenet")
    teacher, student = (_model(models, spec) for spec in (recipe.teacher[0], recipe.student[0]))
    method = methods.get(name, **KNOBS.get(name, {}))
    distiller = Distiller(
        student,
        teacher=None if method.teacher_free else teacher,
        methods=method,
        precision=best_precision(),
    )
    distiller.total_steps = 1000
    distiller.compile()
    distiller.optimizer.build(distiller.trainable_variables)
    distiller.optimizer.iterations.assign(distiller.total_steps // 2)  # past every first stage
    rng = np.random.default_rng(0)
    views = (distiller.views_per_image,) if distiller.views_per_image > 1 else ()
    images = rng.integers(0, 256, (batch_size, *views, *SHAPE)).astype("uint8")
    x = {"inputs": tf.constant(images), "id": tf.range(batch_size, dtype=tf.int64)}
    labels = tf.constant(rng.integers(0, NUM_CLASSES, batch_size), tf.int32)
    train = tf.function(distiller.train_step)
    return lambda: float(train((x, labels))["loss"]), method


def _model(models: Any, spec: str) -> Any:
    name, knobs = recipe_files.parse_spec(spec)
    return models.get(name, **{"num_classes": NUM_CLASSES, "input_shape": SHAPE, **knobs})


def _seconds(step: Callable[[], float]) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def _peak_megabytes() -> float:
    """Most memory that the process has held so far, mapped files left out."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
