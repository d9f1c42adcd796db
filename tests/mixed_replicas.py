"""Run by test_mixed_replicas.py: a training under strong augmentation and mixing on N devices.

python mixed_replicas.py N RESULTS.json
"""

import json
import sys

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from kd_keras import Distiller, methods
from kd_keras.data import pipeline
from kd_keras.data.augmentation import policy_of
from kd_keras.data.stores.store import Split
from kd_keras.distill.step import metrics
from kd_keras.job.hardware import devices

CLASSES, IMAGES, BATCH, STEPS = 5, 40, 16, 8


def net(name, *, width, seed):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((8, 8, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Conv2D(width, 3, activation="relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(CLASSES, name="logits")(x), name=name)


def main():
    count = int(sys.argv[1])
    where = devices.get(f"cpu:{count}") if count > 1 else tf.distribute.get_strategy()
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (IMAGES, 8, 8, 3)).astype(np.uint8)
    split = Split(images, (np.arange(IMAGES) % CLASSES).astype(np.int32), np.arange(IMAGES))
    plan = pipeline.BatchPlan(
        split,
        batch_size=BATCH,
        seed=1,
        policy=policy_of("strong", crop_padding=1, flip=True, mixup=0.2, cutmix=1.0),
        num_classes=CLASSES,
    )
    with where.scope():
        distiller = Distiller(
            net("student", width=4, seed=0),
            teacher=net("teacher", width=6, seed=1),
            methods=methods.get("kd"),
        )
        distiller.compile(
            keras.optimizers.SGD(0.05, momentum=0.9), metrics=[metrics.TopAccuracy(1)]
        )
    history = distiller.fit(plan.dataset(0, STEPS), verbose=0).history
    results = {
        "replicas": where.num_replicas_in_sync,
        "weights": [v.numpy().tolist() for v in distiller.trainable_variables],
        "history": {name: values[-1] for name, values in history.items()},
    }
    with open(sys.argv[2], "w") as file:
        json.dump(results, file)


if __name__ == "__main__":
    main()
