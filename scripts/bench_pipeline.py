"""How fast the data pipeline makes batches: images a second, nothing else running.

Shows: augmented images, from the store to tensors ready for `fit`, by policy, size and threads.
On: random images in a memory-mapped file, or the real Tiny ImageNet with --data-dir.
Takes: three minutes.

    python scripts/bench_pipeline.py
    python scripts/bench_pipeline.py --data-dir ~/tiny-imagenet-200.zip
    python scripts/bench_pipeline.py --sizes 64 --policies strong --threads 1 2 4
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
from kd_keras.data.augmentation import Policy, policy_of
from kd_keras.data.stores.store import Split

REPEATS = 5
SECONDS_A_REPEAT = 1.5
BATCH_SIZES = {64: 128, 224: 64}
#: Pixels a side of the stored images, where policies with resized_crop want larger ones.
STORED_SIZES = {224: 256}
#: Name of each policy, to its text and mixing.
POLICIES = {
    "light": ("light", {}),
    "standard": ("standard", {}),
    "strong": ("strong", {}),
    "strong, mixup 0.2": ("strong", {"mixup": 0.2}),
}
#: Images a second that are wanted on two cores, by size and policy.
TARGETS = {
    (64, "light"): 20_000,
    (64, "standard"): 8_000,
    (64, "strong"): 3_000,
    (224, "standard"): 600,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", help="Tiny ImageNet's zip or folder; random images without")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 224])
    parser.add_argument("--policies", nargs="+", default=list(POLICIES), choices=list(POLICIES))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 0], help="0: the default")
    options = parser.parse_args()
    cores = os.cpu_count()
    print(f"{cores} cores; images/s, median of {REPEATS} (lowest-highest)")
    print("| size | policy | threads | batch | images/s | wanted |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for size in options.sizes:
            larger = STORED_SIZES.get(size, size)
            splits = {
                stored: images_of(size, stored, options.data_dir, Path(folder))
                for stored in (size, larger)
            }
            batch_size = BATCH_SIZES.get(size, 64)
            for name in options.policies:
                text, mixing = POLICIES[name]
                policy = policy_of(text, crop_padding=size // 8, flip=True, **mixing)
                default = pipeline.threads_of(policy)
                for used in dict.fromkeys(threads or default for threads in options.threads):
                    split = splits[size if name == "light" else larger]
                    speeds = training_speeds(split, policy, batch_size, used)
                    target = TARGETS.get((size, name))
                    row = (
                        size,
                        name,
                        used,
                        batch_size,
                        spread(speeds),
                        f"{target:,}" if target else "",
                    )
                    print("|", " | ".join(map(str, row)), "|", flush=True)
            speeds = evaluation_speeds(splits[size], batch_size)
            print(f"| {size} | evaluation | 1 | {batch_size} | {spread(speeds)} | |", flush=True)


def images_of(size: int, stored: int, data_dir: str | None, folder: Path) -> Split:
    """Training images of a size: Tiny ImageNet's, or random ones in a memory-mapped file."""
    if data_dir:
        larger = {} if stored == size else {"store_size": stored, "augment": "standard"}
        return data.load("tiny_imagenet", data_dir=data_dir, image_size=size, **larger).train
    path = folder / f"{stored}.npy"
    shape = (20_000 if size <= 64 else 1_000, stored, stored, 3)
    np.save(path, np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    ids = np.arange(shape[0])
    labels = (ids % 200).astype(np.int32)
    return Split(np.load(path, mmap_mode="r"), labels, ids, side=None if stored == size else size)


def training_speeds(split: Split, policy: Policy, batch_size: int, threads: int) -> list[float]:
    plan = pipeline.BatchPlan(
        split, batch_size=batch_size, seed=0, policy=policy, num_classes=200, threads=threads
    )
    steps = max(4, int(speed(plan.dataset(0, 8)) * SECONDS_A_REPEAT / batch_size))
    starts = [repeat * steps for repeat in range(REPEATS)]
    return [speed(plan.dataset(start, start + steps)) for start in starts]


def evaluation_speeds(split: Split, batch_size: int) -> list[float]:
    batches = pipeline.evaluation(split, batch_size=batch_size)
    return [speed(batches) for _ in range(REPEATS + 1)][1:]


def speed(batches) -> float:
    start, count = time.perf_counter(), 0
    for _, labels in batches:
        count += len(labels)
    return count / (time.perf_counter() - start)


def spread(speeds: list[float]) -> str:
    return f"{statistics.median(speeds):,.0f} ({min(speeds):,.0f}-{max(speeds):,.0f})"


if __name__ == "__main__":
    main()
