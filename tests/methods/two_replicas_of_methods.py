"""Run by test_replicas.py: the same steps of methods on one CPU device and on two.

python two_replicas_of_methods.py RESULTS.json NAME...
"""

import json
import sys

import keras
import tensorflow as tf
import tiny_pair

from kd_keras import strategy

STEPS = 3  # in each stage


def training(name, one_or_two):
    """The weights after some steps, and the method's costs; each weight as each replica keeps it.

    The student has no batch norms, whose statistics are each replica's own.
    """
    with one_or_two.scope():
        distiller = tiny_pair.distiller(name, STEPS, norm=False)
        # Clipped, since some methods' weights are large.
        distiller.compile(keras.optimizers.SGD(0.05, momentum=0.9, global_clipnorm=1.0))
    batch = tf.data.Dataset.from_tensor_slices(tiny_pair.batch(distiller)).batch(tiny_pair.BATCH)
    history = distiller.fit(batch.repeat(distiller.total_steps), verbose=0).history
    return {
        "cost": history[name],
        "weights": [_kept(v, one_or_two) for v in distiller.student.variables],
        "parts": [_kept(v, one_or_two) for v in distiller.methods[0].variables],
    }


def _kept(variable, one_or_two):
    of_each = one_or_two.experimental_local_results(variable.value)
    return [value.numpy().tolist() for value in of_each]


def main():
    path, *names = sys.argv[1:]
    two = strategy.get("cpu:2")
    one = tf.distribute.get_strategy()
    results = {name: [training(name, where) for where in (one, two)] for name in names}
    with open(path, "w") as file:
        json.dump(results, file)


if __name__ == "__main__":
    main()
