"""Run by two_replicas.py: batches of odd sizes, of two views, and of pixels."""

import keras
import numpy as np
import replica_cases
from replica_pair import batches, net

from kd_keras import Distiller, methods


def odd_batches(scope):
    """Weights and logs of batches of 7, 7 and 5 images, of which two replicas get 4 and 3."""
    with scope:
        teacher = net("teacher", width=6, seed=1)
        distiller = Distiller(
            net("student", width=4, seed=0, l2=0.01), teacher=teacher, methods=methods.get("kd")
        )
        distiller.compile(keras.optimizers.SGD(0.1), metrics=["accuracy"])
    data = batches(19, seed=2).unbatch().batch(7)
    history = distiller.fit(data, epochs=2, verbose=0).history
    weights = [v.numpy().tolist() for v in distiller.trainable_variables]
    return {"weights": weights, "history": {name: v[-1] for name, v in history.items()}}


def two_views(scope):
    """What mlkd logs, with compiled metrics that are not built yet."""
    with scope:
        teacher = net("teacher", width=6, seed=1)
        distiller = Distiller(
            net("student", width=4, seed=0), teacher=teacher, methods=methods.get("mlkd")
        )
        distiller.compile(keras.optimizers.SGD(0.01), metrics=["accuracy"])
    x, y = next(iter(batches(16, seed=2)))
    history = distiller.fit(np.stack([x, x[::-1]], axis=1), y, batch_size=16, verbose=0).history
    return {name: values[-1] for name, values in history.items()}


def pixels(scope):
    """The loss of a method of the whole batch that reads its inputs, which are uint8."""
    with scope:
        teacher = net("teacher", width=6, seed=1)
        distiller = Distiller(
            net("student", width=4, seed=0), teacher=teacher, methods=replica_cases.ReadsInputs()
        )
        distiller.compile(keras.optimizers.SGD(0.01))
    x = np.arange(16, dtype="uint8")[:, None, None, None] * np.ones((1, 8, 8, 3), "uint8")
    history = distiller.fit(x, np.zeros(16, "int32"), batch_size=16, verbose=0).history
    return history["reads_inputs"][0]
