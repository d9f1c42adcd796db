"""Run by test_machines.py, once in each of two processes: what they train together, and alone.

python two_machines.py FOLDER, with TF_CONFIG
"""

import sys
from pathlib import Path

import keras
import numpy as np
from keras import layers

from kd_keras import Distiller, methods
from kd_keras.data import pipeline
from kd_keras.data.augmentation import light
from kd_keras.data.stores.store import Split
from kd_keras.distill import machines
from kd_keras.job.hardware import devices

STEPS, BATCH = 8, 7  # of a batch, the processes get 4 and 3 images


def net(name, width, seed):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((8, 8, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Conv2D(width, 3, activation="relu", kernel_regularizer="l2")(x)
    x = layers.GlobalAveragePooling2D(name="pooled")(x)
    return keras.Model(inputs, layers.Dense(5, name="logits")(x), name=name)


def distiller():
    model = Distiller(net("student", 4, 0), teacher=net("teacher", 6, 1), methods=methods.get("kd"))
    model.compile(
        keras.optimizers.SGD(0.5, momentum=0.9, global_clipnorm=0.1, gradient_accumulation_steps=2),
        metrics=["accuracy"],
    )
    return model


def trained(model, batches, split):
    """Losses and weights after `STEPS` steps."""
    validation = pipeline.evaluation(split, batch_size=13)
    history = model.fit(
        batches, steps_per_epoch=STEPS // 2, epochs=2, verbose=0, validation_data=validation
    ).history
    logs = {name: np.array(values) for name, values in history.items()}
    weights = {f"weight {n}": v.numpy() for n, v in enumerate(model.trainable_variables)}
    return logs | weights


def main(folder):
    together = devices.get("cpu:1")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (25, 8, 8, 3), dtype=np.uint8)
    split = Split(images, rng.integers(0, 5, 25).astype("int32"), np.arange(25))
    policy = light(crop_padding=1, flip=True)
    plan = pipeline.BatchPlan(split, batch_size=BATCH, seed=0, policy=policy)
    with together.scope():
        model = distiller()
    batches = machines.distribute_batches(
        together, lambda shards, number: plan.dataset(0, STEPS, shards=shards, num_shards=number)
    )
    np.savez(folder / f"{machines.process_index(together)}.npz", **trained(model, batches, split))
    machines.chief_only(
        together,
        lambda: np.savez(
            folder / "alone.npz", **trained(distiller(), plan.dataset(0, STEPS), split)
        ),
    )
    is_ready = machines.chief_first(together, lambda: (folder / "alone.npz").is_file())
    (folder / f"{machines.process_index(together)}.found").write_text(str(is_ready))

    def fail():
        raise ValueError("no room")

    try:
        machines.chief_only(together, fail)
    except (ValueError, OSError) as error:
        (folder / f"{machines.process_index(together)}.error").write_text(str(error))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
