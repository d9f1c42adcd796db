"""Run by two_replicas.py: a subclass of Distiller, a method, an export, optimizers, a schedule."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from kd_keras import Distiller, methods
from kd_keras.exports import saved_model
from kd_keras.job.training import progress_callbacks
from kd_keras.optimizers.dot import DOT


class ReadsInputs(methods.base.Method):
    """Costs the mean pixel of the whole batch, once for each example."""

    needs_whole_batch = True

    def __init__(self):
        super().__init__(weight=1.0, ce_weight=1.0, name="reads_inputs")

    def call(self, student, teacher, batch):
        pixels = keras.ops.mean(keras.ops.cast(batch.inputs, "float32"))
        return pixels + 0.0 * keras.ops.sum(student["logits"], axis=-1)


class Counting(Distiller):
    """Counts its steps, and trains on other labels."""

    def __init__(self, student):
        super().__init__(student)
        self.calls = self.add_weight(
            shape=(), initializer="zeros", trainable=False, aggregation="mean", name="calls"
        )

    def train_step(self, data):
        self.calls.assign_add(1.0)
        x, y = data
        return super().train_step((x, 2 - y))


def counting(where):
    """The steps that a subclass of Distiller counted, and its student's logits."""
    keras.utils.set_random_seed(0)
    with where.scope():
        distiller = Counting(keras.Sequential([keras.Input((4,)), layers.Dense(3)]))
        distiller.compile(keras.optimizers.SGD(1.0))
    x, y = np.ones((24, 4), "float32"), np.zeros(24, "int32")
    distiller.fit(x, y, batch_size=8, epochs=2, verbose=0)
    return float(distiller.calls.numpy()), distiller.student(x[:1]).numpy()[0].tolist()


def exported(where, folder):
    """Writes a student of two replicas as a SavedModel, with pixels and their logits beside it."""
    pixels = np.random.default_rng(0).integers(0, 256, (33, 8, 8, 3), dtype=np.uint8)
    with where.scope():
        keras.utils.set_random_seed(0)
        student = keras.Sequential(
            [
                *(keras.Input((8, 8, 3)), layers.Rescaling(1 / 255), layers.Conv2D(4, 3)),
                *(layers.BatchNormalization(), layers.Flatten()),
                *(layers.Dropout(0.5), layers.Dense(5)),
            ]
        )
        student.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert isinstance(student.variables[0].value, tf.distribute.DistributedValues)
    student.fit(pixels[:32].astype("float32"), np.arange(32) % 5, batch_size=8, verbose=0)
    expected = student(pixels.astype("float32"), training=False).numpy()
    np.savez(folder / "pixels.npz", pixels=pixels, expected=expected)
    saved_model.saved_model(
        student,
        folder / "model",
        class_names=list("abcde"),
        images=pixels,
        serve=lambda folder, images: (expected, expected[:4]),  # the test asks real programs
    )


def dot(where):
    """Variables after five steps of DOT, which started as ones."""
    ones = np.ones((2, 3), "float32")
    with where.scope():
        kernel, part = keras.Variable(ones), keras.Variable(ones[0])
        optimizer = DOT(0.1, weight_decay=0.01)
        optimizer.build([kernel, part])

    @tf.function
    def step(batch):
        count = where.num_replicas_in_sync
        with tf.GradientTape(persistent=True) as tape:
            outputs = tf.matmul(batch, kernel.value)
            task = tf.reduce_mean(outputs**2) / count
            kd = tf.reduce_mean((outputs * part.value - 1) ** 2) / count
        variables = [kernel, part]
        of_task, of_kd = (tape.gradient(loss, [v.value for v in variables]) for loss in (task, kd))
        optimizer.apply_parts({"task": of_task, "distillation": of_kd}, variables)

    data = tf.data.Dataset.from_tensor_slices(np.random.default_rng(0).normal(size=(40, 2)))
    data = data.map(lambda x: tf.cast(x, tf.float32)).batch(8)
    for batch in where.experimental_distribute_dataset(data):
        where.run(step, args=(batch,))
    return [v.numpy().tolist() for v in (kernel, part)]


def learning_rates(where):
    """What `Speed` logs of a schedule from 0.4 to 0 in 8 steps, after each of two epochs."""
    with where.scope():
        model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
        rate = keras.optimizers.schedules.PolynomialDecay(0.4, decay_steps=8, end_learning_rate=0.0)
        model.compile(keras.optimizers.SGD(rate), "mse")
    data = tf.data.Dataset.from_tensors((np.ones((8, 3)), np.ones((8, 2)))).repeat(4)
    history = model.fit(data, epochs=2, verbose=0, callbacks=[progress_callbacks.Speed(8)]).history
    return [float(rate) for rate in history["learning_rate"]]


def unknown_labels(where, *, label_mode="single"):
    """Weights and logs of batches of 7, 7 and 5 images whose labels are mostly unknown.

    With label_mode "multi", an image may have several classes, and an unknown label is a row of -1.

    Of two replicas, the first gets all known labels of the first batch, the second of the second,
    and neither has one in the third.
    """
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(19, 4)).astype("float32"), np.full(19, -1)
    y[[0, 2, 12]] = 0, 1, 2
    weight = rng.uniform(0.5, 2.0, size=19).astype("float32")
    if label_mode == "multi":
        rows = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 1], [-1, -1, -1]])
        y = rows[y]
    with where.scope():
        student, teacher = (
            keras.Sequential([keras.Input((4,)), layers.Dense(3, kernel_initializer=start)])
            for start in ("ones", "identity")
        )
        distiller = Distiller(
            student,
            teacher=teacher,
            methods=methods.get("kd", ce_weight=2.0),
            label_smoothing=0.1,
            label_mode=label_mode,
        )
        accuracy = (
            "accuracy" if label_mode == "single" else keras.metrics.BinaryAccuracy("accuracy")
        )
        distiller.compile(keras.optimizers.SGD(0.5), metrics=[accuracy], ignore_class=-1)
    data = tf.data.Dataset.from_tensor_slices((x, y, weight)).batch(7)
    steps = []
    keep = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda _, logs: steps.append({n: float(v) for n, v in logs.items()})
    )
    callbacks = [keep]
    history = distiller.fit(data, validation_data=data, epochs=2, callbacks=callbacks, verbose=0)
    weights = [v.numpy().tolist() for v in distiller.trainable_variables]
    last = {name: values[-1] for name, values in history.history.items()}
    return {"weights": weights, "history": last, "steps": steps}


def embedded(where, *, eagerly, **clipping):
    """Weights after batches of 5 texts; embeddings have sparse gradients."""
    rng = np.random.default_rng(6)
    x, y = rng.integers(0, 7, size=(15, 3)), rng.integers(0, 4, size=15)

    def net(seed):
        keras.utils.set_random_seed(seed)
        pooling = layers.GlobalAveragePooling1D()
        return keras.Sequential(
            [keras.Input((3,), dtype="int32"), layers.Embedding(7, 5), pooling, layers.Dense(4)]
        )

    with where.scope():
        distiller = Distiller(net(0), teacher=net(1), methods=methods.get("kd"))
        distiller.compile(keras.optimizers.SGD(0.5, **clipping), run_eagerly=eagerly)
    distiller.fit(x, y, batch_size=5, epochs=2, shuffle=False, verbose=0)
    return [v.numpy().tolist() for v in distiller.trainable_variables]
