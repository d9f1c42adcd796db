"""Run by test_replicas.py: the same steps of methods on one CPU device and on two.

python two_replicas_of_methods.py RESULTS.json together|alone

together: methods that can learn from a cache in a few compiled trainings, the others alone.
alone: each of those that can learn from a cache by itself, with the teacher beside it.
"""

import json
import sys

import keras
import numpy as np
import tensorflow as tf
import tiny_pair

from kd_keras import methods
from kd_keras.data import pipeline
from kd_keras.data.augmentation import augment, light
from kd_keras.data.stores.store import Split
from kd_keras.distill.step.teacher import Teacher
from kd_keras.job.hardware import devices
from kd_keras.methods.parts import requirements

POLICY = light(crop_padding=1, flip=True)


def split():
    """As many training images as a batch holds; of small values, as the pair is used to."""
    rng, count = np.random.default_rng(3), tiny_pair.BATCH
    images = rng.integers(0, 4, size=(count, 8, 8, 3)).astype("uint8")
    labels = rng.integers(0, tiny_pair.CLASSES, size=count).astype("int32")
    return Split(images, labels, np.arange(count))


class Rows:
    """What a teacher says of every view, as a cache keeps it."""

    def __init__(self, model, names, data, views):
        teacher = Teacher(model, names)
        self.shapes = teacher.shapes
        batches = [
            augment(data.images, data.ids, data.ids, view_seed=0, view=view, policy=POLICY)
            for view in range(views)
        ]
        self._rows = [teacher(tf.cast(images, "float32")) for images in batches]
        self._rows = [{name: np.asarray(v) for name, v in row.items()} for row in self._rows]

    def __call__(self, ids, view):
        return {name: value[ids] for name, value in self._rows[view].items()}


def training(names, where, *, steps, cached=False, run_eagerly=False):
    """The weights of a student after `steps` in each stage, and means of what was logged.

    Batches, labels, ids and metrics are those of `kdk train`. The student has no batch norms, whose
    statistics are each replica's own. Each weight is given as each replica keeps it.
    """
    data, rows = split(), None
    with where.scope():
        distiller = tiny_pair.distiller(names, steps, norm=False)
        if cached:
            taps = requirements.taps_of("teacher", distiller.methods)
            rows = Rows(distiller.teacher, taps, data, distiller.views_per_image)
            distiller.teacher = rows
        # Clipped, since some methods' weights are large.
        distiller.compile(
            keras.optimizers.SGD(0.05, momentum=0.9, global_clipnorm=1.0),
            metrics=[
                keras.metrics.SparseCategoricalAccuracy(name="top1"),
                keras.metrics.SparseTopKCategoricalAccuracy(3, name="top5"),
            ],
            run_eagerly=run_eagerly,
        )
    plan = pipeline.BatchPlan(
        data,
        batch_size=len(data),
        seed=0,
        policy=POLICY,
        views=1,
        views_per_image=distiller.views_per_image,
    )
    batches = plan.dataset(0, distiller.total_steps, teacher=rows)
    history = distiller.fit(batches, verbose=0).history
    return {
        "logs": {name: values[0] for name, values in history.items()},
        "weights": [_values_of_each(v, where) for v in distiller.student.variables],
        "parts": [
            _values_of_each(v, where) for method in distiller.methods for v in method.variables
        ],
    }


def _values_of_each(variable, where):
    of_each = where.experimental_local_results(variable.value)
    return [value.numpy().tolist() for value in of_each]


def groups(names):
    """Names of methods that can learn from one cache in one training, by what they have in common.

    One training of many methods is traced in a fraction of the time of theirs.
    """
    names_by_kind = {}
    for name in names:
        method = tiny_pair.method(name)
        if not (method.teacher_free or method.needs_teacher_model):
            stages = 2 if method.first_stage else 1
            names_by_kind.setdefault(f"{method.views_per_image} views, {stages} stages", []).append(
                name
            )
    return names_by_kind


def alone(names, *places):
    return {n: [training([n], where, steps=1, run_eagerly=True) for where in places] for n in names}


def main():
    path, kind = sys.argv[1:]
    two, one = devices.get("cpu:2"), tf.distribute.get_strategy()
    by_group = groups(methods.names())
    grouped = {name for members in by_group.values() for name in members}
    if kind == "alone":
        results = {"alone": alone(sorted(grouped), one, two)}
    else:
        others = sorted(set(methods.names()) - grouped)
        results = {"alone": alone(others, one, two), "together": {}, "members": by_group}
        for group, members in by_group.items():
            expected = training(members, one, steps=2, run_eagerly=True)
            pair = [expected, training(members, two, steps=2, cached=True)]
            results["together"][group] = pair
    with open(path, "w") as file:
        json.dump(results, file)


if __name__ == "__main__":
    main()
