"""fit and evaluate: metrics, phases, the run's length, and what equals plain Keras."""

import itertools
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from kd_keras import Distiller, methods
from kd_keras.methods.base import Method
from kd_keras.optimizers import dot

STILL = 0.0  # a learning rate at which every batch of a run sees the same weights


def fit(distiller, *data, learning_rate=STILL, **kwargs):
    distiller.compile(keras.optimizers.SGD(learning_rate), metrics=["accuracy"])
    settings = {"batch_size": 16, "verbose": 0, "shuffle": False} | kwargs
    return distiller.fit(*data, **settings).history


def test_metrics_are_exact_over_uneven_batches(net, teacher, images, labels, by_hand, monkeypatch):
    student = net("student", norm=False)
    logits, teacher_logits = student(images).numpy(), teacher(images).numpy()
    ce, kd = by_hand.cross_entropy(labels, logits), by_hand.kl(teacher_logits, logits, 4.0)
    right = (logits.argmax(1) == labels) * 1.0
    distiller = Distiller(
        student, teacher=teacher, methods=methods.get("kd", weight=2.0), ce_weight=0.5
    )
    validation = images[:37], labels[:37]
    history = fit(distiller, images, labels, validation_data=validation)
    loss = 0.5 * ce.mean() + 2 * kd.mean()
    expected = {
        "loss": loss,
        "ce": ce.mean(),
        "kd": kd.mean(),
        "ce_share": 0.5 * ce.mean() / loss,
        "kd_share": 2 * kd.mean() / loss,
        "agreement": np.mean(logits.argmax(1) == teacher_logits.argmax(1)),
        "accuracy": right.mean(),
        "val_loss": ce[:37].mean(),  # no teacher in validation
        "val_ce": ce[:37].mean(),
        "val_accuracy": right[:37].mean(),
    }
    assert {name: value for name, (value,) in history.items()} == pytest.approx(expected, rel=1e-5)

    monkeypatch.setattr(distiller._untracked, "teacher", pytest.fail)  # evaluation does not call it
    distiller.test_function = None
    values = distiller.evaluate(*validation, batch_size=16, verbose=0)
    names = ("val_loss", "val_ce", "val_accuracy")
    assert values == pytest.approx([expected[name] for name in names], rel=1e-5)


def test_validation_is_of_the_plain_student_as_it_is_now(student, images, labels, by_hand):
    distiller = Distiller(student, precision="mixed_bfloat16")
    values = fit(
        distiller, images, labels, learning_rate=0.1, epochs=3, validation_data=(images, labels)
    )["val_ce"]
    now = by_hand.cross_entropy(labels, student(images, training=False).numpy()).mean()
    assert values[-1] == pytest.approx(now, rel=1e-5)
    assert values[0] != pytest.approx(now, rel=1e-3)
    distiller.teacher = None  # drops what was made for it
    step = tf.function(distiller.test_step)  # without evaluate, which would prepare it
    assert float(step((images, labels))["ce"]) == pytest.approx(now, rel=1e-5)


def test_the_teacher_runs_in_validation_if_asked(net, teacher, images, labels):
    student = net("student", norm=False)
    same = student(images).numpy().argmax(1) == teacher(images).numpy().argmax(1)
    distiller = Distiller(
        student, teacher=teacher, methods=methods.get("kd"), validate_teacher=True
    )
    distiller.compile()
    result = distiller.evaluate(
        images[:37], labels[:37], batch_size=16, verbose=0, return_dict=True
    )
    assert set(result) == {"loss", "ce", "kd", "agreement"}
    assert result["agreement"] == pytest.approx(same[:37].mean())


def test_without_methods_it_trains_as_plain_keras(net, images, labels):
    student, plain = (net(name, l2=0.01) for name in ("student", "plain"))
    settings = {"batch_size": 8, "epochs": 2, "verbose": 0, "shuffle": False}
    distiller = Distiller(student)
    distiller.compile(keras.optimizers.SGD(0.1, momentum=0.9), metrics=["accuracy"])
    history = distiller.fit(images, labels, **settings).history
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    plain.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, metrics=["accuracy"])
    expected = plain.fit(images, labels, **settings).history
    for one, other in zip(student.variables, plain.variables, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5, err_msg=one.path)
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-5)
    np.testing.assert_allclose(history["accuracy"], expected["accuracy"], rtol=1e-6)


def test_several_steps_an_execution_are_the_same_steps(net, teacher, images, labels):
    weights = []
    for steps in (1, 3):
        student = net("student")
        distiller = Distiller(student, teacher=teacher, methods=methods.get("kd"))
        distiller.compile(keras.optimizers.SGD(0.1), steps_per_execution=steps)
        distiller.fit(images, labels, batch_size=8, shuffle=False, verbose=0)  # 5 steps
        assert int(distiller.optimizer.iterations.numpy()) == 5
        weights.append([v.numpy() for v in student.variables])
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_xla_compiles_the_step(net, teacher, images, labels, one_step):
    usual, compiled = (
        Distiller(net("student"), teacher=teacher, methods=methods.get("kd")) for _ in range(2)
    )
    expected = one_step(usual, images, labels)
    compiled.compile(keras.optimizers.SGD(0.1), jit_compile=True)
    logs = compiled.train_on_batch(images, labels, return_dict=True)
    assert logs == pytest.approx(expected, rel=1e-4)
    for one, other in zip(compiled.variables, usual.variables, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_warmup_is_linear_in_steps(student, teacher, images, labels):
    distiller = Distiller(
        student, teacher=teacher, methods=methods.get("kd", weight=2.0, warmup=0.5)
    )
    distiller.compile(keras.optimizers.SGD(STILL), run_eagerly=True)
    distiller.total_steps = 8
    shares = []
    for _ in range(6):
        logs = distiller.train_on_batch(images, labels, return_dict=True)
        shares.append((logs["loss"] - 0.1 * logs["ce"]) / (2 * logs["kd"]))
    np.testing.assert_allclose(shares, [0, 0.25, 0.5, 0.75, 1, 1], atol=1e-5)


def test_a_warmup_needs_the_run_s_length(student, teacher, images, labels):
    distiller = Distiller(student, teacher=teacher, methods=methods.get("kd", warmup=0.5))
    batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(16)
    unknown = batches.filter(lambda x, y: True)
    with pytest.raises(ValueError, match=r"\['kd'\] depend on the progress of the run, whose"):
        fit(distiller, unknown, batch_size=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # Keras's, that it cannot shuffle a dataset
        distiller.fit(batches, epochs=2, verbose=0)
    assert distiller.run_steps == 6
    assert distiller.total_steps is None


class Staged(Method):
    """For half of the run `early` is trained, alone; then `late` and the student."""

    teacher_free, first_stage = True, 0.5

    def __init__(self, *, weight=1.0, ce_weight=1.0, warmup=0.0, name="staged"):
        super().__init__(weight=weight, ce_weight=ce_weight, warmup=warmup, name=name)

    def build(self, student_shape, teacher_shape):
        self.early, self.late = (
            self.add_weight(shape=(), initializer="ones", name=name) for name in ("early", "late")
        )

    def call(self, student, teacher, batch):
        return self.late**2 + 0 * student["logits"][:, 0]

    def first_stage_call(self, student, teacher, batch):
        return self.early**2 + keras.ops.zeros(keras.ops.shape(batch.labels)[:1])


@pytest.mark.parametrize(
    "optimizer",
    [
        pytest.param(lambda: keras.optimizers.AdamW(weight_decay=0.1), id="adamw"),
        pytest.param(lambda: dot.DOT(weight_decay=0.1), id="dot"),
        pytest.param(keras.optimizers.Adam, id="adam", marks=pytest.mark.extended),
        pytest.param(
            lambda: keras.optimizers.SGD(momentum=0.9, global_clipnorm=1.0),
            id="sgd",
            marks=pytest.mark.extended,
        ),
    ],
)
def test_what_a_stage_does_not_train_keeps_its_values(optimizer, net, images, labels):
    student, method = net("student", norm=False, l2=0.1), Staged()
    distiller = Distiller(student, methods=method)
    values = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            watched = method.early, method.late, student.get_layer("conv").kernel
            values.append([v.numpy() for v in watched])

        on_train_end = on_train_batch_begin

    distiller.compile(optimizer())
    settings = {"batch_size": 10, "verbose": 0, "shuffle": False}
    logs = distiller.fit(images, labels, callbacks=[Watch()], **settings).history
    moved = [[np.any(a != b) for a, b in zip(*s, strict=True)] for s in itertools.pairwise(values)]
    assert moved == [[True, False, False]] * 2 + [[False, True, True]] * 2
    assert set(logs) == {"loss", "ce", "staged", "ce_share", "staged_share"}


def test_a_run_of_stages_takes_no_step_too_many(student, images, labels):
    distiller = Distiller(student, methods=Staged())
    distiller.total_steps = 8
    distiller.compile(keras.optimizers.AdamW())
    batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(16)
    distiller.fit(batches.filter(lambda x, y: True), epochs=2, verbose=0)  # of unknown length
    assert int(distiller.optimizer.iterations.numpy()) == 6


def test_fit_without_the_teacher_says_what_to_do(student):
    distiller = Distiller(student, methods=methods.get("kd"))
    distiller.compile()
    with pytest.raises(ValueError, match=r"methods \['kd'\] need a teacher.*Set distiller.teacher"):
        distiller.fit(np.zeros((2, 8, 8, 3)), np.zeros(2))
