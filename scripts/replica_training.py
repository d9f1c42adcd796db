"""One training of scripts/replica_table.py: the tiny pair, by one method in one setting."""

import sys
from pathlib import Path
from typing import Any

import numpy as np

PAIR = Path(__file__).resolve().parents[1] / "tests" / "methods"  # the folder of tiny_pair.py
STEPS, EAGER_STEPS, EPOCHS = 20, 4, 5
SETTINGS = {
    "plain": "the teacher runs beside the student",
    "cached": "the teacher's outputs come from a cache, where the method allows it; synchronized "
    "batch norms, global_clipnorm, 5 steps an execution",
    "uneven": "epochs of batches of 8, 8, 8 and 7 examples; sample weights, where the method "
    "allows them; gradient_accumulation_steps 2, global_clipnorm",
    "bfloat16": "as plain, in mixed_bfloat16",
    "eager": "4 steps, not compiled; the teacher's outputs come from a cache, where the method "
    "allows it; global_clipnorm",
}


def weights(name: str, setting: str, strategy: Any, *, changed: bool = False) -> list[np.ndarray]:
    """The weights after `STEPS` steps, of student and method.

    `changed` starts with the student's first kernel times 1 + 1e-6: what the training itself makes
    of a difference as small as that of rounding.
    """
    sys.path.insert(0, str(PAIR))
    import keras
    import tensorflow as tf
    import tiny_pair
    from two_replicas_of_methods import POLICY, Rows

    from kd_keras import Distiller
    from kd_keras.data import pipeline
    from kd_keras.data.stores.store import Split
    from kd_keras.methods import base

    rng, rows = np.random.default_rng(3), None
    count = 31 if setting == "uneven" else 32
    steps = EAGER_STEPS if setting == "eager" else STEPS
    images = rng.integers(0, 4, size=(count, 8, 8, 3)).astype("uint8")
    labels = rng.integers(0, tiny_pair.CLASSES, size=count).astype("int32")
    data = Split(images, labels, np.arange(count))
    with strategy.scope():
        method = tiny_pair.method(name)
        cached = setting in ("cached", "eager") and _teacher_source(method) == "cached"
        if method.first_stage:
            method.first_stage = 0.5
        student, teacher = _student(setting), None if method.teacher_free else tiny_pair.teacher()
        if changed:
            kernel = student.trainable_variables[0]
            kernel.assign(kernel * (1 + 1e-6))
        distiller = Distiller(
            student,
            teacher=teacher,
            methods=[method],
            precision="mixed_bfloat16" if setting == "bfloat16" else "float32",
        )
        if cached:
            names = base.taps_of("teacher", distiller.methods)
            rows = Rows(distiller.teacher, names, data, distiller.views_per_image)
            distiller.teacher = rows
        optimizer = keras.optimizers.SGD(
            0.01,
            momentum=0.9,
            global_clipnorm=0.5 if setting in ("cached", "uneven", "eager") else None,
            gradient_accumulation_steps=2 if setting == "uneven" else None,
        )
        distiller.compile(
            optimizer,
            metrics=["accuracy"],
            steps_per_execution=5 if setting == "cached" else 1,
            run_eagerly=setting == "eager",
        )
    plan = pipeline.BatchPlan(
        data,
        batch_size=8 if setting != "uneven" else 31,
        seed=0,
        policy=POLICY,
        views=1,
        views_per_image=distiller.views_per_image,
    )
    if setting == "uneven":  # the pipeline has none, so its one batch is split
        batches = plan.dataset(0, 1, teacher=rows).unbatch().batch(8)
        batches = batches.apply(tf.data.experimental.assert_cardinality(4)).with_options(_options())
        if not method.whole_batch:  # it would refuse weights
            batches = batches.map(lambda x, y: (x, y, tf.cast(x["id"] % 3, "float32") / 2))
        distiller.fit(batches, epochs=EPOCHS, verbose=0)
    else:
        distiller.fit(plan.dataset(0, steps, teacher=rows), epochs=1, verbose=0)
    assert int(distiller.optimizer._iterations.numpy()) == steps
    return [np.asarray(v.numpy(), "float32") for v in _floats(distiller)]


def _options() -> Any:
    import tensorflow as tf

    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return options


def _student(setting: str) -> Any:
    """The tiny pair's student with L2 regularisers."""
    import keras
    import tiny_pair

    student = tiny_pair.student(norm=setting == "cached")
    for layer in student.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.kernel_regularizer = keras.regularizers.L2(0.01)
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True
    return student


def _floats(distiller: Any) -> list[Any]:
    """Weights and statistics of student and methods, without random states."""
    import keras

    parts = [*distiller.student.variables, *(v for m in distiller.methods for v in m.variables)]
    return [v for v in parts if keras.backend.is_float_dtype(v.dtype)]


def teacher_source(name: str) -> str:
    """Where the outputs of the method's teacher come from in the setting "cached"."""
    sys.path.insert(0, str(PAIR))
    import tiny_pair

    return _teacher_source(tiny_pair.method(name))


def _teacher_source(method: Any) -> str:
    """Where the outputs of the teacher come from in the setting "cached"."""
    if method.teacher_free:
        return "none"
    return "runs" if method.needs_teacher_model else "cached"
