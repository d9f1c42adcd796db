"""What grows with the number of classes: a hold-out split, and caches of the largest logits.

Shows   seconds of a stratified hold-out of a tenth; images a second and peak memory of making a
        cache of the 20 largest logits; images a second of reading them in random order.
On      200,000 labels of 10,000 classes; a cache of 8,192 images with a teacher that takes no time;
        one of 32,768 rows to read. Seconds are of the processor.
Takes   a minute on one CPU core. --package FOLDER measures another version of kd_keras.

    python scripts/bench_growth.py
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CLASSES, LABELS, TOP = 10_000, 200_000, 20
MADE, ROWS, BATCH, BATCHES = 8_192, 32_768, 256, 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--package", help="folder that holds the kd_keras to measure")
    parser.add_argument("--classes", type=int, default=CLASSES)
    arguments = parser.parse_args()
    if arguments.package:
        sys.path.insert(0, arguments.package)
    figures = {"classes": arguments.classes, **holdout(arguments.classes)}
    figures |= making(arguments.classes)
    print(json.dumps(figures | reading(arguments.classes), indent=2))


def holdout(classes: int) -> dict[str, float]:
    from kd_keras.data import holdout

    labels = np.random.default_rng(0).integers(0, classes, LABELS)
    start = time.process_time()
    holdout.stratified_split(labels, 0.1)
    return {"holdout_seconds": time.process_time() - start}


def header(classes: int, rows: int) -> object:
    from kd_keras.teacher_cache.file_format import Header

    return Header(
        teacher="random",
        data="random",
        augment={"crop_padding": 0, "flip": False},
        view_seed=0,
        views=1,
        examples=rows,
        outputs={"logits": (classes,)},
        top_k=TOP,
    )


def making(classes: int) -> dict[str, float]:
    from kd_keras.data.stores.store import Split
    from kd_keras.teacher_cache import writer

    logits = np.random.default_rng(0).normal(size=(BATCH, classes)).astype("float32")
    labels, ids = np.zeros(MADE, "int32"), np.arange(MADE)
    split = Split(np.zeros((MADE, 4, 4, 3), "uint8"), labels, ids)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as name:
        start = time.process_time()
        writer.make(
            Path(name),
            header(classes, MADE),
            split,
            lambda images: {"logits": logits[: len(images)]},
        )
        seconds = time.process_time() - start
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {"made_images_per_second": MADE / seconds, "making_megabytes": more}


def reading(classes: int) -> dict[str, float]:
    from kd_keras.teacher_cache import file_format, part_files
    from kd_keras.teacher_cache.reader import Cache

    rng, form = np.random.default_rng(0), header(classes, ROWS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file_format.write_header(folder, form, np.arange(ROWS))
        for view, part in part_files.tasks(form):
            rows = min(form.rows_per_part, ROWS - part * form.rows_per_part)
            arrays = {
                "logits_top": rng.normal(size=(rows, TOP)).astype("float16"),
                "logits_classes": rng.permuted(
                    np.tile(np.arange(classes, dtype="uint16"), (64, 1)), axis=1
                )[np.arange(rows) % 64, :TOP],
                "logits_rest": rng.normal(size=rows).astype("float16"),
            }
            part_files.write_part(folder, view, part, arrays)
        cache = Cache(folder)
        cache(np.arange(BATCH), 0)
        start = time.process_time()
        for _ in range(BATCHES):
            cache(rng.integers(0, ROWS, BATCH), 0)
        return {"read_images_per_second": BATCH * BATCHES / (time.process_time() - start)}


if __name__ == "__main__":
    main()
