"""A model of two classes that trains within a second, for tests of callbacks."""

import keras
import numpy as np
import tensorflow as tf

STEPS, BATCH = 5, 4


def model(learning_rate=0.1):
    keras.utils.set_random_seed(3)
    linear = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    linear.compile(
        keras.optimizers.SGD(learning_rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="top1")],
    )
    return linear


def batches():
    """`STEPS` batches of `BATCH` examples."""
    generator = np.random.default_rng(0)
    images = generator.normal(size=(STEPS * BATCH, 3)).astype("float32")
    labels = (images[:, 0] > 0).astype("int32")
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(BATCH)


def fit(trained, callbacks, **options):
    """The history of two epochs."""
    options = {"epochs": 2, "verbose": 0, "shuffle": False, **options}
    return trained.fit(batches(), callbacks=callbacks, **options).history
