"""Where a training step's time goes, by kind of operation, as TensorFlow's profiler tells it.

Shows   milliseconds a step of the student spends in each kind, beside what its multiply-adds alone
        would take at the best bfloat16 matrix product found in the same run. All on one thread, so
        that every millisecond is one operation's; bench_step.py has the speed on all cores.
On      the narrow pair of bench_step.py, its teacher's rows given with the batch.
Takes   a minute on an idle CPU core.

    python scripts/profile_step.py --out docs/profile_step.json
"""

import collections
import re
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import bench_jobs  # beside this file
import bench_step  # beside this file
import click
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from kd_keras import files
from kd_keras.models import cost
from kd_keras.results.terminal.screen import Screen

PAIR, WARM, STEPS = "narrow", 5, 20
# An operation is of the first kind whose pattern is found in its type; the rest is "other".
KINDS = {
    "convolutions, gradients by kernels": "Conv2DBackpropFilter",
    "convolutions, gradients by inputs": "Conv2DBackpropInput",
    "convolutions": "Conv2D",
    "batch norms, gradients": "FusedBatchNormGrad",
    "batch norms, some with their ReLU": "FusedBatchNorm",
    "ReLUs, gradients": "ReluGrad",
    "ReLUs": "Relu",
    "sums: branches, Adam": "^Add",
    "casts between precisions": "^Cast",
}
OTHER = "other operations"


@click.command(help=__doc__.splitlines()[0])
@click.option("--out", default="docs/profile_step.json", show_default=True)
def main(out: str) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    screen, best = Screen(), bench_step.ceiling()
    student, teacher, size = bench_step.PAIRS[PAIR]
    step = bench_step.keras_steps(student, teacher, size)["cached"]
    alone = [seconds(step) for _ in range(WARM + STEPS)][WARM:]
    took = by_kind(step)
    total = sum(took.values())
    operations = 2 * 3 * cost.macs(bench_step.model(student, size)) * bench_step.BATCH
    record: dict[str, Any] = {
        "step, ms": statistics.median(alone) * 1e3,
        "kinds, ms": took,
        "multiply-adds at the best product, ms": operations / best / 1e6,
        "best bfloat16 product, GFLOP/s": best,
    }
    screen.table(
        f"A step of {student}, batch {bench_step.BATCH}, one thread: {record['step, ms']:.1f} ms; "
        f"its multiply-adds at {best:.0f} GFLOP/s: "
        f"{record['multiply-adds at the best product, ms']:.1f} ms",
        ["operations", "ms a step", "share"],
        [[kind, f"{ms:.1f}", f"{ms / total:.0%}"] for kind, ms in took.items()],
    )
    files.write_json(Path(out), {"machine": bench_jobs.machine(), "threads": 1, **record})


def seconds(step: bench_step.Step) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def by_kind(step: bench_step.Step) -> dict[str, float]:
    """Milliseconds a step in each kind of operation, longest first."""
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        for _ in range(STEPS):
            step()
        tf.profiler.experimental.stop()
        space = xplane_pb2.XSpace()
        space.ParseFromString(next(Path(folder).rglob("*.xplane.pb")).read_bytes())
    took: collections.Counter[str] = collections.Counter()
    for plane in space.planes:
        for event in (event for line in plane.lines for event in line.events):
            name = plane.event_metadata[event.metadata_id].name
            # Operations are "name:Type"; what runs them is "Class::Function" or "Class: name".
            if operation := re.fullmatch(r"[^:]+:([A-Za-z_]\w*)", name):
                took[kind_of(operation[1])] += event.duration_ps / 1e9 / STEPS
    return dict(took.most_common())


def kind_of(operation: str) -> str:
    return next((kind for kind, part in KINDS.items() if re.search(part, operation)), OTHER)


if __name__ == "__main__":
    main()
