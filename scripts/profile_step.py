"""Where the time of a cached student step goes, by kind of operation.

Shows   milliseconds a step that each kind of TensorFlow kernel runs, over all threads, from a trace
        of TensorFlow's own profiler, beside the step's wall time and the time in which its
        multiply-adds alone would be done at the best matrix product's speed.
On      random images of 64x64, batches of 128, student ResNet8 (12.5 M multiply-adds).
Takes   half a minute on two CPU cores.

    python scripts/profile_step.py --out docs/profile_step.json
"""

import collections
import gzip
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import bench_step  # beside this file
import click

from kd_keras import report
from kd_keras.cli import quiet
from kd_keras.screen import Screen

quiet.import_tensorflow()

import tensorflow as tf  # noqa: E402

STEPS, SHOWN = 20, 12
MULTIPLY_ADDS = 12.5e6
PASSES = 3  # forward, gradient of the inputs, gradient of the weights


@click.command(help=__doc__.splitlines()[0])
@click.option("--out", default="docs/profile_step.json", show_default=True)
def main(out: str) -> None:
    screen = Screen()
    student, teacher, size = bench_step.PAIRS["narrow"]
    step = bench_step.keras_steps(student, teacher, size)["cached"]
    for _ in range(5):
        step()
    started = time.perf_counter()
    for _ in range(STEPS):
        step()
    wall = 1e3 * (time.perf_counter() - started) / STEPS
    kinds = by_kind(step)
    least = 2 * PASSES * MULTIPLY_ADDS * bench_step.BATCH / bench_step.ceiling() / 1e6
    rows = [[kind, f"{ms:.1f}"] for kind, ms in kinds.most_common(SHOWN)]
    rows.append(["all others", f"{sum(kinds.values()) - sum(kinds[row[0]] for row in rows):.1f}"])
    screen.table("ms a step, over both threads", ["kind of operation", "ms"], rows)
    screen.say(
        f"wall time {wall:.1f} ms; its multiply-adds at the best product's speed {least:.1f}"
    )
    report.write_json(Path(out), {"wall_ms": wall, "least_ms": least, "by_kind_ms": kinds})


def by_kind(step: Any) -> collections.Counter[str]:
    """Milliseconds a step by kind of operation."""
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        for _ in range(STEPS):
            step()
        tf.profiler.experimental.stop()
        (file,) = Path(folder).rglob("*.trace.json.gz")
        events = json.loads(gzip.decompress(file.read_bytes()))["traceEvents"]
    total: collections.Counter[str] = collections.Counter()
    for event in events:
        kind = event.get("args", {}).get("tf_op", event.get("name", "")).rpartition(":")[2]
        if event.get("ph") == "X" and "long_name" in event.get("args", {}):
            total[kind or event["name"]] += event["dur"] / 1e3 / STEPS
    return total


if __name__ == "__main__":
    main()
