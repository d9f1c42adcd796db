"""What measuring gradient norms costs: seconds of a measurement, as a share of the steps between.

    python scripts/bench_gradient_norms.py

Two pairs on noise: that of the recipe tiny_imagenet (64x64, batch 256) and that of quickstart (8x8,
batch 128), in float32. Each number is the median of 5; steps and measurements alternate.
"""

import time
from statistics import median

import keras
import numpy as np

from kd_keras import Distiller, methods, models
from kd_keras.distill.callbacks import gradient_norms

REPEATS, STEPS = 5, 3
PAIRS = {  # teacher, student, image, classes, batch
    "tiny_imagenet": (
        ("resnet18", {"width": 0.5, "stem_stride": 2}),
        ("resnet8", {"stem_stride": 2}),
        (64, 64, 3),
        200,
        256,
    ),
    "quickstart": (("resnet20", {}), ("resnet8", {"width": 0.5}), (8, 8, 1), 10, 128),
}


def seconds(work, *arguments, times=1):
    start = time.perf_counter()
    for _ in range(times):
        work(*arguments)
    return (time.perf_counter() - start) / times


def measured(teacher, student, shape, classes, batch):
    """Seconds of a step and of a measurement."""
    pair_models = [
        models.get(name, num_classes=classes, input_shape=shape, **knobs)
        for name, knobs in (teacher, student)
    ]
    pair = Distiller(pair_models[1], teacher=pair_models[0], methods=methods.get("kd"))
    pair.compile(keras.optimizers.SGD(0.01))
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (batch, *shape)).astype("float32")
    data = images, rng.integers(0, classes, batch).astype("int32")
    pair.train_on_batch(*data)  # compiles
    gradient_norms.norms(pair, data)
    rounds = [
        (
            seconds(pair.train_on_batch, *data, times=STEPS),
            seconds(gradient_norms.norms, pair, data),
        )
        for _ in range(REPEATS)
    ]
    return [median(column) for column in zip(*rounds, strict=True)]


def main():
    for name, pair in PAIRS.items():
        step, norms = measured(*pair)
        share = norms / (gradient_norms.EVERY * step)
        print(f"{name}: step {step:.3f} s, measurement {norms:.3f} s: {share:.2%} of the training")


if __name__ == "__main__":
    main()
