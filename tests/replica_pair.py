"""A tiny teacher and student, and batches for them, that the cases of two_replicas.py share."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

BATCH = 16


def net(name, *, width, seed, l2=0.0):
    keras.utils.set_random_seed(seed)
    penalty = keras.regularizers.L2(l2) if l2 else None
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(width, 3, kernel_regularizer=penalty, activation="relu", name="stage1")(
        inputs
    )
    x = layers.Conv2D(2 * width, 3, strides=2, activation="relu", name="stage2")(x)
    x = layers.GlobalAveragePooling2D(name="pooled")(x)
    return keras.Model(inputs, layers.Dense(5, name="logits")(x), name=name)


def batches(count, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 8, 8, 3)).astype("float32")
    y = rng.integers(0, 5, size=count)
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH)
