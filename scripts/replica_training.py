"""The trainings of scripts/replica_table.py: the tiny pair, by one method in one setting."""

import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

PAIR = Path(__file__).resolve().parents[1] / "tests" / "methods"  # the folder of tiny_pair.py
STEPS, EAGER_STEPS, EPOCHS = 20, 4, 5
SETTINGS = {
    "plain": "the teacher runs beside the student, no clipping",
    "uneven": "batches of 8, 8, 8 and 7 examples; sample weights, where the method allows them; "
    "gradient_accumulation_steps 2, global_clipnorm",
    "cached": "the teacher's outputs come from a cache, where the method allows it; synchronized "
    "batch norms, global_clipnorm, 5 steps an execution",
    "bfloat16": "as plain, in mixed_bfloat16",
    "eager": "4 steps, not compiled; the teacher's outputs come from a cache, where the method "
    "allows it; global_clipnorm",
}
LIMIT = 1e-6
LEARNING_RATES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
CHANGE = 1e-6  # of the first kernel, about as much as rounding; bfloat16 would round it away
BFLOAT16_CHANGE = 2**-8
Weights = list[np.ndarray]


class Reference(NamedTuple):
    """What one device trains; the learning rate is that of all devices."""

    learning_rate: float
    moved: float  # the largest change of a trained weight, divided by the largest weight
    after: Weights
    changed: Weights  # after a start with the first kernel times 1 + `CHANGE`


def reference(name: str, setting: str, rates: tuple[float, ...] = LEARNING_RATES) -> Reference:
    """The training on one device, at the largest learning rate that does not amplify rounding.

    That is the first of `rates` at which a change of the student's first kernel by 1e-6 changes no
    weight by more than `LIMIT`. Statistics of batch norms may feel the change more than that at
    any rate: it is then the first at which they feel it at most a fifth more than at the best one.
    What replicas train has no influence on it.
    """
    import tensorflow as tf

    training = Training(name, setting, tf.distribute.get_strategy(), rates[0])
    before, results, felt = training.floats(), [], []
    for rate in rates:
        training.restart(rate)
        after = training.weights()
        training.restart(rate, changed=True)
        results.append(Reference(rate, training.moved(before, after), after, training.weights()))
        felt.append(difference(after, results[-1].changed))
        if felt[-1] <= LIMIT:
            return results[-1]
    return next(r for r, value in zip(results, felt, strict=True) if value <= 1.2 * min(felt))


def difference(one: Weights, other: Weights) -> float:
    """The largest difference of an entry, divided by the largest entry of `one`; NaN with a NaN."""
    one_flat, other_flat = (np.concatenate([np.ravel(a) for a in w]) for w in (one, other))
    return float(np.max(np.abs(one_flat - other_flat)) / np.max(np.abs(one_flat)))


class Training:
    """A Distiller and its batches; trains `STEPS` steps."""

    def __init__(self, name: str, setting: str, strategy: Any, learning_rate: float):
        sys.path.insert(0, str(PAIR))
        self.setting, self.steps = setting, EAGER_STEPS if setting == "eager" else STEPS
        data = _split(31 if setting == "uneven" else 32)
        with strategy.scope():
            self.distiller = _distiller(name, setting)
            rows = _cache(self.distiller, data) if setting in ("cached", "eager") else None
            _compile(self.distiller, setting, learning_rate)
            self.distiller.prepare_step()  # makes the variables of the optimizer
        self.batches = _batches(self.distiller, setting, data, rows, self.steps)
        self._variables = [*self.distiller.variables, *self.distiller.optimizer.variables]
        self._start = [v.numpy() for v in self._variables]

    def restart(self, learning_rate: float, *, changed: bool = False) -> None:
        """Sets all variables as they were at the start, and the first kernel a little `changed`."""
        for variable, value in zip(self._variables, self._start, strict=True):
            variable.assign(value)
        self.distiller.optimizer.learning_rate = learning_rate
        if changed:
            kernel = self.distiller.student.trainable_variables[0]
            change = BFLOAT16_CHANGE if self.setting == "bfloat16" else CHANGE
            kernel.assign(kernel * (1 + change))

    def weights(self) -> Weights:
        """Trains; the weights of student and method after it."""
        self.distiller.fit(
            self.batches, epochs=EPOCHS if self.setting == "uneven" else 1, verbose=0
        )
        assert int(self.distiller.optimizer._iterations.numpy()) == self.steps
        return self.floats()

    def moved(self, before: Weights, after: Weights) -> float:
        """The largest change of a weight that a gradient trains, divided by the largest weight."""
        pairs = zip(self._floats(), before, after, strict=True)
        changes = [np.max(np.abs(b - a)) for v, a, b in pairs if v.trainable and a.size]
        return float(max(changes) / max(np.max(np.abs(a)) for a in after if a.size))

    def floats(self) -> Weights:
        """Weights and statistics of student and methods, without random states."""
        return [np.asarray(v.numpy(), "float32") for v in self._floats()]

    def _floats(self) -> list[Any]:
        import keras

        methods = self.distiller.methods
        parts = [*self.distiller.student.variables, *(v for m in methods for v in m.variables)]
        return [v for v in parts if keras.backend.is_float_dtype(v.dtype)]


def _split(count: int) -> Any:
    import tiny_pair

    from kd_keras.data.stores.store import Split

    rng = np.random.default_rng(3)
    images = rng.integers(0, 4, size=(count, 8, 8, 3)).astype("uint8")
    labels = rng.integers(0, tiny_pair.CLASSES, size=count).astype("int32")
    return Split(images, labels, np.arange(count))


def _distiller(name: str, setting: str) -> Any:
    import tiny_pair

    from kd_keras import Distiller

    method = tiny_pair.method(name)
    if method.first_stage:
        method.first_stage = 0.5
    return Distiller(
        _student(setting),
        teacher=None if method.teacher_free else tiny_pair.teacher(),
        methods=[method],
        precision="mixed_bfloat16" if setting == "bfloat16" else "float32",
    )


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


def _cache(distiller: Any, data: Any) -> Any:
    """The teacher's outputs, which take its place; None if the method does not allow it."""
    from two_replicas_of_methods import Rows

    from kd_keras.methods.parts import requirements

    if _teacher_source(distiller.methods[0]) != "cached":
        return None
    names = requirements.taps_of("teacher", distiller.methods)
    distiller.teacher = Rows(distiller.teacher, names, data, distiller.views_per_image)
    return distiller.teacher


def _compile(distiller: Any, setting: str, learning_rate: float) -> None:
    import keras

    optimizer = keras.optimizers.SGD(
        learning_rate,
        momentum=0.9,
        global_clipnorm=0.5 if setting in ("cached", "uneven", "eager") else None,
        gradient_accumulation_steps=2 if setting == "uneven" else None,
    )
    distiller.compile(
        optimizer,
        # Not "accuracy": its variables are made in the first step, which is then traced twice.
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        steps_per_execution=5 if setting == "cached" else 1,
        run_eagerly=setting == "eager",
    )


def _batches(distiller: Any, setting: str, data: Any, rows: Any, steps: int) -> Any:
    import tensorflow as tf
    from two_replicas_of_methods import POLICY

    from kd_keras.data import pipeline

    uneven = setting == "uneven"
    plan = pipeline.BatchPlan(
        data,
        batch_size=31 if uneven else 8,
        seed=0,
        policy=POLICY,
        views=1,
        views_per_image=distiller.views_per_image,
    )
    if not uneven:
        return plan.dataset(0, steps, teacher=rows)
    # The pipeline has none that are uneven, so its one batch is split.
    batches = plan.dataset(0, 1, teacher=rows).unbatch().batch(8)
    batches = batches.apply(tf.data.experimental.assert_cardinality(4)).with_options(_options())
    if distiller.methods[0].needs_whole_batch:  # it would refuse weights
        return batches
    return batches.map(lambda x, y: (x, y, tf.cast(x["id"] % 3, "float32") / 2))


def _options() -> Any:
    import tensorflow as tf

    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return options


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
