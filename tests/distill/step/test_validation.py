"""What validation reports where the teacher runs in it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kd_keras import Distiller, methods
from kd_keras.distill import side_by_side
from kd_keras.distill.step import validation


def evaluated(distiller, images, labels):
    distiller.compile(keras.optimizers.SGD(0.1), metrics=["accuracy"])
    return distiller.evaluate(images, labels, batch_size=16, verbose=0, return_dict=True)


def test_losses_and_agreement_are_those_of_both_models_in_inference(
    net, teacher, images, labels, by_hand
):
    student = net("student", dropout=0.5)
    kd = methods.get("kd", temperature=2.0, weight=3.0, warmup=0.5)
    hints = methods.get("fitnet", tap="stage2")
    distiller = Distiller(student, teacher=teacher, methods=[kd, hints], validate_teacher=True)
    logs = evaluated(distiller, images, labels)
    student_output, teacher_output = (
        model(images, training=False).numpy() for model in (student, teacher)
    )
    assert set(logs) == {"loss", "ce", "kd", "fitnet", "agreement", "accuracy"}
    assert logs["kd"] == pytest.approx(
        by_hand.kl(teacher_output, student_output, 2.0).mean(), rel=1e-4
    )
    assert logs["loss"] == pytest.approx(
        by_hand.cross_entropy(labels, student_output).mean(), rel=1e-4
    )
    assert logs["agreement"] == pytest.approx(
        np.mean(student_output.argmax(1) == teacher_output.argmax(1))
    )
    before = [v.numpy() for v in distiller.variables]
    evaluated(distiller, images, labels)
    for value, variable in zip(before, distiller.variables, strict=True):
        np.testing.assert_array_equal(value, variable.numpy())


def test_without_it_no_loss_of_a_method_is_reported(student, teacher, images, labels):
    logs = evaluated(Distiller(student, teacher=teacher, methods=methods.get("kd")), images, labels)
    assert set(logs) == {"loss", "ce", "accuracy"}


@pytest.mark.parametrize(
    ("name", "knobs", "reason"),
    [
        ("mlkd", {}, "it needs 2 views of an image, and validation shows one"),
        ("crd", {"num_examples": 40}, "it remembers training images by their ids"),
        ("sp", {}, "it relates the images of a batch, so its value depends on the batches"),
        ("ab", {}, "it is trained in the first stage alone"),
        ("kd", {}, ""),
        ("ft", {}, ""),
    ],
)
def test_each_loss_that_is_left_out_has_its_reason(name, knobs, reason):
    method = methods.get(name, **knobs)
    assert validation.reason_left_out(method) == reason
    assert validation.left_out([method]) == (
        f"validation reports no loss of {name}: {reason}" if reason else ""
    )


def test_a_loss_that_is_not_measured_is_not_logged(student, teacher, images, labels):
    both_methods = [methods.get("kd"), methods.get("sp", taps=("stage2",))]
    logs = evaluated(
        Distiller(student, teacher=teacher, methods=both_methods, validate_teacher=True),
        images,
        labels,
    )
    assert set(logs) == {"loss", "ce", "kd", "agreement", "accuracy"}


def test_a_method_without_a_teacher_is_reported_too(net, images, labels):
    distiller = Distiller(
        net("student"), teacher=None, methods=methods.get("dml"), validate_teacher=True
    )
    logs = evaluated(distiller, images, labels)
    assert set(logs) == {"loss", "ce", "dml", "accuracy"}
    assert logs["dml"] > 0


def test_training_reports_no_accuracy_of_what_is_not_deployed(net, teacher, images, labels):
    student = net("student")
    simkd = methods.get("simkd", tap="stage2")
    distiller = Distiller(student, teacher=teacher, methods=simkd, validate_teacher=True)
    distiller.compile(keras.optimizers.Adam(0.01), metrics=["accuracy"])
    options = {"batch_size": 16, "epochs": 2, "verbose": 0}
    history = distiller.fit(images, labels, validation_data=(images, labels), **options).history
    trained = {name for name in history if not name.startswith("val_")}
    assert trained == {"loss", "ce", "ce_share", "simkd", "simkd_share"}
    deployed = distiller.deployed(images, training=False).numpy().argmax(1)
    teacher_output = teacher(images, training=False).numpy().argmax(1)
    assert history["val_agreement"][-1] == pytest.approx(np.mean(deployed == teacher_output))
    assert history["val_accuracy"][-1] == pytest.approx(np.mean(deployed == labels))
    assert history["val_simkd"][-1] > 0


def test_a_cached_teacher_cannot_be_validated(student):
    class Rows:
        shapes = {"logits": (None, 5)}  # noqa: RUF012

        def __call__(self, ids, view):
            return {"logits": np.zeros((len(ids), 5))}

    with pytest.raises(ValueError, match="validate_teacher is set, and the teacher is a cache"):
        Distiller(student, teacher=Rows(), methods=methods.get("kd"), validate_teacher=True)


def test_side_by_side_the_teacher_is_asked_once(net, teacher, images, labels, by_hand):
    pair = {
        name: Distiller(
            net(name, seed=i), teacher=teacher, methods=methods.get("kd"), validate_teacher=True
        )
        for i, name in enumerate(["one", "other"])
    }
    for distiller in pair.values():
        distiller.compile(keras.optimizers.SGD(0.1))
    x = {"inputs": images, "id": np.arange(40)}
    data = tf.data.Dataset.from_tensor_slices((x, labels)).batch(16)
    logs = side_by_side.SideBySideModel(pair).evaluate(data, verbose=0, return_dict=True)
    teacher_output = teacher(images, training=False).numpy()
    for name, distiller in pair.items():
        student_output = distiller.student(images, training=False).numpy()
        assert logs[f"{name}/agreement"] == pytest.approx(
            np.mean(student_output.argmax(1) == teacher_output.argmax(1))
        )
        assert logs[f"{name}/kd"] == pytest.approx(
            by_hand.kl(teacher_output, student_output, 4.0).mean(), rel=1e-4
        )
