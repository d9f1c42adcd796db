"""Run by two_replicas.py: a student without a graph of layers."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from replica_pair import BATCH, batches, net

from kd_keras import Distiller, methods


class Subclassed(keras.Model):
    """A student without a graph of layers."""

    def __init__(self):
        super().__init__(name="subclassed")
        keras.utils.set_random_seed(0)
        self.conv, self.norm = layers.Conv2D(4, 3), layers.BatchNormalization(momentum=0.5)
        self.dropped, self.flat = layers.Dropout(0.5, seed=7), layers.Flatten()
        self.head = layers.Dense(5)

    def call(self, x, training=None):
        x = keras.ops.relu(self.norm(self.conv(x), training=training))
        return self.head(self.flat(self.dropped(x, training=training)))


def subclassed(two, folder):
    """A subclassed student's statistics on each replica, its evaluation, and the saved weights'.

    Validation is in batches of 4 and a last one of 1, which leaves a replica without examples.
    """
    x, y = next(iter(batches(9, seed=3)))
    with two.scope():
        student = Subclassed()
        student(x[:1])
        teacher = net("teacher", width=6, seed=1)
        distiller = Distiller(
            student, teacher=teacher, methods=methods.get("kd"), validate_teacher=True
        )
        distiller.compile(keras.optimizers.SGD(0.05), metrics=["accuracy"])
    # The replicas' halves have different means.
    shifted = batches(BATCH * 4, seed=2).map(
        lambda x, y: (x + tf.range(16.0)[:, None, None, None], y)
    )
    distiller.fit(shifted, verbose=0)
    student.save_weights(folder / "student.weights.h5")
    saved = Subclassed()
    saved(x[:1])
    saved.load_weights(folder / "student.weights.h5")
    logits = keras.ops.convert_to_numpy(saved(x, training=False))
    agreed = logits.argmax(axis=-1) == keras.ops.convert_to_numpy(teacher(x)).argmax(axis=-1)
    loss = keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)
    per_replica = two.experimental_local_results
    return {
        "statistics": [v.numpy().tolist() for v in per_replica(student.norm.moving_mean.value)],
        "seeds": [
            v.numpy().tolist() for v in per_replica(student.dropped.seed_generator.state.value)
        ],
        "evaluated": distiller.evaluate(x, y, batch_size=4, verbose=0, return_dict=True),
        "saved": {
            "loss": float(np.mean(loss)),
            "accuracy": float(np.mean(logits.argmax(axis=-1) == y.numpy())),
            "agreement": float(np.mean(agreed)),
        },
    }
