"""Run by test_replica_steps.py: a few steps of kd on one CPU device and on two, and the weights.

python replica_steps.py WEIGHTS.npz
"""

import sys

import keras
import numpy as np
import tensorflow as tf
from replica_pair import BATCH, batches, net

from kd_keras import Distiller, methods
from kd_keras.job.hardware import devices


def trained(strategy):
    """The student after 6 steps, of which each third has a batch of 11, shared as 6 and 5."""
    with strategy.scope():
        distiller = Distiller(
            net("student", width=4, seed=0),
            teacher=net("teacher", width=6, seed=1),
            methods=methods.get("kd", ce_weight=0.5),
        )
        distiller.compile(keras.optimizers.SGD(0.05, momentum=0.9))
    distiller.fit(batches(2 * BATCH + 11, seed=2), epochs=2, verbose=0)
    assert int(distiller.optimizer.iterations.numpy()) == 6
    return distiller.student


def main():
    two = devices.get("cpu:2")
    assert two.num_replicas_in_sync == 2
    start = net("student", width=4, seed=0)
    students = {"start": start, "one": trained(tf.distribute.get_strategy()), "two": trained(two)}
    arrays = {
        f"{name} {v.path}": v.numpy() for name, model in students.items() for v in model.variables
    }
    np.savez(sys.argv[1], **arrays)


if __name__ == "__main__":
    main()
