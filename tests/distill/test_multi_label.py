"""A Distiller on examples that may have several classes: losses, data checks, heads, saving."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from kd_keras import Distiller, methods

CLASSES, IMAGES = 3, 12
RNG = np.random.default_rng(0)
X = RNG.normal(size=(IMAGES, 4)).astype("float32")
Y = (RNG.random((IMAGES, CLASSES)) < 0.4).astype("int32")


def net(activation=None, seed=0, outputs=CLASSES):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((4,))
    return keras.Model(inputs, layers.Dense(outputs, activation=activation, name="logits")(inputs))


def sigmoid(z):
    return 1 / (1 + np.exp(-np.asarray(z, "float64")))


def binary_cross_entropy(y, logits):
    q = sigmoid(logits)
    return -np.mean(y * np.log(q) + (1 - y) * np.log(1 - q), axis=1)


def compiled(student=None, optimizer=None, **how):
    ignore = how.pop("ignore_class", None)
    distiller = Distiller(student or net(), label_mode="multi", **how)
    distiller.compile(optimizer or keras.optimizers.SGD(0.1), ignore_class=ignore)
    return distiller


def test_the_loss_is_that_of_the_formula_and_validation_reports_the_cross_entropy():
    student, teacher = net(), net(seed=1)
    logits, teacher_logits = student(X).numpy(), teacher(X).numpy()
    kd = methods.get("kd", temperature=2.0, weight=0.7, ce_weight=0.3)
    distiller = compiled(student, teacher=teacher, methods=kd)
    scores = distiller.evaluate(X, Y, verbose=0, return_dict=True)
    ce = binary_cross_entropy(Y, logits).mean()
    assert scores == pytest.approx({"loss": ce, "ce": ce}, rel=1e-5)
    p, q = sigmoid(teacher_logits / 2), sigmoid(logits / 2)
    kl = 4 * np.mean(p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)))
    logs = distiller.train_on_batch(X, Y, return_dict=True)
    assert logs["loss"] == pytest.approx(0.3 * ce + 0.7 * kl, rel=1e-4)
    assert logs["kd"] == pytest.approx(kl, rel=1e-4)


def test_a_step_of_plain_training_is_that_of_keras():
    ours, theirs = net(), net()
    compiled(ours).train_on_batch(X, Y)
    theirs.compile(keras.optimizers.SGD(0.1), keras.losses.BinaryCrossentropy(from_logits=True))
    theirs.train_on_batch(X, Y.astype("float32"))
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_sample_weights_multiply_the_losses():
    weights = np.linspace(0, 2, IMAGES).astype("float32")
    student = net()
    expected = (weights * binary_cross_entropy(Y, student(X).numpy())).mean()
    scores = compiled(student).evaluate(X, Y, sample_weight=weights, verbose=0, return_dict=True)
    assert scores["loss"] == pytest.approx(expected, rel=1e-5)


def test_rows_of_minus_one_are_unknown_labels():
    student, y = net(), Y.copy()
    y[:4] = -1
    expected = binary_cross_entropy(Y[4:], student(X[4:]).numpy()).mean()
    distiller = compiled(student, teacher=net(seed=1), methods=methods.get("kd"), ignore_class=-1)
    assert distiller.train_on_batch(X, y, return_dict=True)["ce"] == pytest.approx(expected)
    with pytest.raises(ValueError, match=r"labels hold -1; .* compile with ignore_class=-1"):
        compiled().fit(X, y, verbose=0)


def test_a_teacher_of_sigmoids_teaches_as_its_logits_do():
    linear, probabilities = net(seed=1), net("sigmoid", seed=1)
    losses = [
        compiled(teacher=teacher, methods=methods.get("kd")).train_on_batch(X, Y, return_dict=True)[
            "kd"
        ]
        for teacher in (linear, probabilities)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (Y[:, 0], r"labels have shape \(12,\); expected \(B, 3\), a row of 0 and 1"),
        (Y[:, :2], r"labels have shape \(12, 2\); expected \(B, 3\)"),
        (2 * Y, "labels hold 2; expected rows of 3 values from 0 to 1"),
        (np.where(Y, np.nan, 0.0), "labels hold nan; expected rows of 3"),
    ],
)
@pytest.mark.parametrize("form", ["arrays", "dataset"])
def test_labels_of_another_form_are_refused(labels, message, form):
    data = (X, labels)
    if form == "dataset":
        message = message.replace("(12", r"(None")
        data = (tf.data.Dataset.from_tensor_slices(data).batch(5),)
    with pytest.raises(ValueError, match=message):
        compiled().fit(*data, verbose=0)


def test_data_without_labels_are_refused():
    distiller = compiled(teacher=net(seed=1), methods=methods.get("kd"))
    with pytest.raises(ValueError, match="needed by: multi-label training"):
        distiller.fit(X, verbose=0)


@pytest.mark.parametrize(
    ("model", "role", "message"),
    [
        (lambda: net("sigmoid"), "student", "ends in a sigmoid; expected logits"),
        (lambda: net("softmax"), "student", "ends in a softmax; expected logits or sigmoids"),
        (lambda: net(outputs=1), "student", "gives one output; expected logits or sigmoids"),
        (lambda: net("softmax"), "teacher", "ends in a softmax; expected logits or sigmoids"),
        (lambda: net(outputs=2), "teacher", "the student has 3 classes and the teacher 2"),
    ],
)
def test_models_of_one_class_are_refused(model, role, message):
    models = {"student": net(), "teacher": net(seed=1)} | {role: model()}
    with pytest.raises(ValueError, match=message):
        Distiller(
            models["student"],
            teacher=models["teacher"],
            methods=methods.get("kd"),
            label_mode="multi",
        )


def test_a_model_of_sigmoids_is_refused_without_labels_multi_and_told_of_it():
    with pytest.raises(ValueError, match=r"use label_mode='multi' \(--label-mode multi\)"):
        Distiller(net(), teacher=net("sigmoid"), methods=methods.get("kd"))
    with pytest.raises(ValueError, match="label_mode is 'several'; expected one of"):
        Distiller(net(), label_mode="several")


def test_it_is_saved_and_loaded(tmp_path):
    distiller = compiled(net())
    distiller.fit(X, Y, verbose=0)
    distiller.save(tmp_path / "d.keras")
    loaded = keras.models.load_model(tmp_path / "d.keras")
    assert loaded.label_mode == "multi"
    expected = distiller.evaluate(X, Y, verbose=0)
    np.testing.assert_allclose(loaded.evaluate(X, Y, verbose=0), expected)
    config = distiller.get_config()
    del config["label_mode"]  # of a Distiller that an earlier version saved
    assert Distiller.from_config(config).label_mode == "single"


def test_a_saved_one_with_the_old_name_of_the_label_mode_is_loaded():
    config = Distiller(net(), label_mode="multi").get_config()
    config["labels"] = config.pop("label_mode")
    assert Distiller.from_config(config).label_mode == "multi"
