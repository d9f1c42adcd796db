"""What a training step costs: this project's, Keras's own distillation, a plain PyTorch loop.

Shows   images a second of each way to train a student from a teacher, medians of interleaved
        rounds in one process; the ratios that matter; the teacher's forward pass alone, and its
        share of the best bfloat16 matrix product found in the same run.
On      random images in batches of 128, three pairs. PyTorch where torch is installed, for the
        ResNet pair at 64x64, whose layers are written out in scripts/torch_resnet.py.
Takes   about fifteen minutes on two idle CPU cores.

    python scripts/bench_step.py --out docs/bench_step.json
"""

import gc
import importlib.util
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bench_jobs  # beside this file
import click
import numpy as np

from kd_keras import files
from kd_keras.cli import quiet
from kd_keras.results.terminal.screen import Screen

quiet.import_tensorflow()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from kd_keras import Distiller, methods, models  # noqa: E402
from kd_keras.distill.step.teacher import Teacher  # noqa: E402
from kd_keras.graph.precision import best_precision  # noqa: E402
from kd_keras.models import cost  # noqa: E402

BATCH, NUM_CLASSES, WARM, ROUNDS, STEPS = 128, 200, 3, 7, 4
PAIRS = {  # student, teacher, pixels a side
    "narrow": ("resnet8:stem_stride=2", "resnet18:stem_stride=2", 64),
    "resnet": ("resnet8x4", "resnet32x4", 32),
    "mobilenet": ("mobilenetv2", "resnet18:stem_stride=2", 64),
}
CEILING = "best bfloat16 product, GFLOP/s"
MULTIPLY_ADDS = "teacher's multiply-adds an image"
TEACHERS = "teacher forward, GFLOP/s"
Step = Callable[[], Any]


@click.command(help=__doc__.splitlines()[0])
@click.option("--pair", multiple=True, type=click.Choice(list(PAIRS)), help="by default, all")
@click.option("--out", default="docs/bench_step.json", show_default=True)
def main(pair: tuple[str, ...], out: str) -> None:
    screen = Screen()
    tf.get_logger().setLevel("ERROR")  # one function a step is not a retracing
    top_gflops, precision = ceiling(), best_precision()
    screen.say(f"best bfloat16 matrix product: {top_gflops:.0f} GFLOP/s; precision {precision}")
    pairs = {name: {CEILING: top_gflops, **measured(name, screen)} for name in pair or PAIRS}
    for name, figures in pairs.items():
        figures |= shares(name, figures)
        screen.say(
            f"{name}: the teacher's {figures[MULTIPLY_ADDS] / 1e6:.1f} million multiply-adds run "
            f"at {figures[TEACHERS]:.0f} GFLOP/s, {figures[TEACHERS] / top_gflops:.0%} of that "
            "product"
        )
    file = Path(out)
    before = json.loads(file.read_text())["pairs"] if pair and file.is_file() else {}
    about = {"machine": bench_jobs.machine(), "precision": precision}
    files.write_json(file, {**about, "pairs": before | pairs})


def measured(name: str, screen: Screen) -> dict[str, float]:
    """Images a second of each step of a pair, also shown."""
    student, teacher, size = PAIRS[name]
    steps = keras_steps(student, teacher, size)
    if name == "narrow" and importlib.util.find_spec("torch"):
        steps |= torch_steps(size)
    speeds = interleaved(steps)
    screen.table(
        f"{student} from {teacher}, {size}x{size}",
        ["step", "images/s", "over the student alone's"],
        [[k, f"{v:,.0f}", f"{v / speeds['student alone']:.2f}"] for k, v in speeds.items()],
    )
    gc.collect()
    keras.backend.clear_session()
    return speeds


def shares(name: str, figures: dict[str, float]) -> dict[str, float]:
    """The teacher's multiply-adds and, from its images a second, its GFLOP/s (2 a multiply-add)."""
    _, teacher, size = PAIRS[name]
    count = cost.macs(model(teacher, size))
    return {MULTIPLY_ADDS: count, TEACHERS: 2 * count * figures["teacher forward"] / 1e9}


def keras_steps(student: str, teacher: str, size: int) -> dict[str, Step]:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (BATCH, size, size, 3)).astype("uint8")
    labels = tf.constant(rng.integers(0, NUM_CLASSES, BATCH), tf.int32)
    x = {"inputs": tf.constant(images), "id": tf.range(BATCH, dtype=tf.int64)}
    logits = tf.constant(rng.normal(size=(BATCH, NUM_CLASSES)), tf.float32)
    precision = best_precision()
    big = model(teacher, size)

    def distiller_step(
        precision: str, teacher: Any = None, chosen_methods: Any = (), *, cached: bool = False
    ) -> Step:
        distiller = Distiller(
            model(student, size), teacher=teacher, methods=chosen_methods, precision=precision
        )
        distiller.compile()
        distiller.optimizer.build(distiller.trainable_variables)
        step = tf.function(distiller.train_step)
        inputs = {**x, "teacher": {"logits": logits}} if cached else x
        return lambda: float(step((inputs, labels))["loss"])

    def forward(precision: str) -> Step:
        run = tf.function(Teacher(big, precision=precision))
        floats = tf.cast(x["inputs"], "float32")
        return lambda: run(floats)["logits"].numpy()

    plain_forward = tf.function(lambda: big(tf.cast(x["inputs"], "float32"), training=False))
    return {
        "student alone": distiller_step(precision),
        "student alone, float32": distiller_step("float32"),
        "cached": distiller_step(precision, big, methods.get("kd"), cached=True),
        "online": distiller_step(precision, big, methods.get("kd")),
        "online, float32": distiller_step("float32", big, methods.get("kd")),
        "keras.distillation": keras_s_own(model(student, size), big, images, labels),
        "teacher forward": forward(precision),
        "teacher forward, float32": forward("float32"),
        "teacher forward, plain Keras": lambda: plain_forward().numpy(),
    }


def keras_s_own(student: keras.Model, teacher: keras.Model, images: Any, labels: Any) -> Step:
    """Keras's own distillation with the setting in which its loss is right."""
    distilled = keras.distillation.LogitsDistillation(
        temperature=4.0, loss=keras.losses.KLDivergence()
    )
    distiller = keras.distillation.Distiller(
        teacher=teacher, student=student, distillation_losses=distilled
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    distiller.compile(optimizer=keras.optimizers.Adam(0.001), loss=loss)
    floats = tf.constant(images, tf.float32)
    distiller.train_on_batch(floats, labels)
    step = distiller.train_function
    batches = iter(tf.data.Dataset.from_tensors((floats, labels)).repeat())
    return lambda: float(step(batches)["loss"])


def torch_steps(size: int) -> dict[str, Step]:
    import torch_resnet  # beside this file

    return torch_resnet.steps(batch=BATCH, num_classes=NUM_CLASSES, size=size)


def interleaved(steps: dict[str, Step]) -> dict[str, float]:
    """Median images a second of each step over rounds in which all take their turn."""
    for step in steps.values():
        for _ in range(WARM):
            step()
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            started = time.perf_counter()
            for _ in range(STEPS):
                step()
            seconds[name].append((time.perf_counter() - started) / STEPS)
    return {name: BATCH / statistics.median(values) for name, values in seconds.items()}


def ceiling() -> float:
    """GFLOP/s (a multiply-add is two) of the fastest bfloat16 matrix product of a sweep."""
    best = 0.0
    for rows in (1024, 4096, 16384):
        for inner in (256, 1024, 2304):
            a = tf.random.normal((rows, inner)), tf.random.normal((inner, 512))
            one, other = (tf.cast(value, "bfloat16") for value in a)
            run = tf.function(lambda one=one, other=other: tf.reduce_sum(one @ other))
            run()
            times = []
            for _ in range(5):
                started = time.perf_counter()
                float(run())
                times.append(time.perf_counter() - started)
            best = max(best, 2 * rows * inner * 512 / statistics.median(times) / 1e9)
    return best


def model(spec: str, size: int) -> keras.Model:
    from kd_keras.job.recipe import recipe_files

    name, knobs = recipe_files.parse_spec(spec)
    settings: dict[str, Any] = {"num_classes": NUM_CLASSES, "input_shape": (size, size, 3)}
    return models.get(name, **{**settings, **knobs})


if __name__ == "__main__":
    main()
