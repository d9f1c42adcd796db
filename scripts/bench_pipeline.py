"""How fast the data pipeline makes batches: images a second, nothing else running.

Shows: every image cropped and mirrored at random, from the store to tensors ready for `fit`.
On: 20,000 random 64x64x3 images in a memory-mapped file, or the real Tiny ImageNet with --data-dir.
Takes: half a minute.

    python scripts/bench_pipeline.py
    python scripts/bench_pipeline.py --data-dir ~/tiny-imagenet-200.zip
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from kd_keras import data
from kd_keras.data import pipeline
from kd_keras.data.augment import Augment
from kd_keras.data.store import Split

REPEATS = 5
IMAGES_A_REPEAT = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", help="Tiny ImageNet's zip or folder; random images without")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.data_dir:
            dataset = data.load("tiny_imagenet", data_dir=arguments.data_dir)
            split, policy = dataset.train, dataset.augment
        else:
            split, policy = synthetic(Path(folder)), Augment(crop_padding=8, flip=True)
        print(f"{len(split):,} images of {split.images.shape[1:]}, {os.cpu_count()} cores")
        print("| pipeline | batch | images/s, median of 5 (lowest-highest) |\n| --- | --- | --- |")
        for batch_size in (128, 1024):
            report("training", batch_size, training_speeds(split, policy, batch_size))
            report("evaluation", batch_size, evaluation_speeds(split, batch_size))


def synthetic(folder: Path) -> Split:
    path = folder / "images.npy"
    shape = (20_000, 64, 64, 3)
    np.save(path, np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    labels = np.zeros(len(np.load(path, mmap_mode="r")), np.int32)
    return Split(np.load(path, mmap_mode="r"), labels, np.arange(len(labels)))


def training_speeds(split: Split, policy: Augment, batch_size: int) -> list[float]:
    steps = IMAGES_A_REPEAT // batch_size
    plan = pipeline.BatchPlan(split, batch_size=batch_size, seed=0, policy=policy)
    return [
        speed(plan.dataset(repeat * steps, (repeat + 1) * steps)) for repeat in range(REPEATS + 1)
    ][1:]


def evaluation_speeds(split: Split, batch_size: int) -> list[float]:
    part = split.take(np.arange(min(len(split), IMAGES_A_REPEAT)))
    batches = pipeline.evaluation(part, batch_size=batch_size)
    return [speed(batches) for _ in range(REPEATS + 1)][1:]


def speed(batches) -> float:
    start, count = time.perf_counter(), 0
    for _, labels in batches:
        count += len(labels)
    return count / (time.perf_counter() - start)


def report(what: str, batch_size: int, speeds: list[float]) -> None:
    lowest, highest = min(speeds), max(speeds)
    middle = statistics.median(speeds)
    print(f"| {what} | {batch_size} | {middle:,.0f} ({lowest:,.0f}-{highest:,.0f}) |")


if __name__ == "__main__":
    main()
