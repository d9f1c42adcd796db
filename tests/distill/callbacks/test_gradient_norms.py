"""Norms of each term's gradient: their values, and that measuring them changes nothing."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kd_keras import Distiller, methods
from kd_keras.distill.callbacks import gradient_norms, stop_on_nan
from kd_keras.distill.callbacks.gradient_norms import GradientNorms


def distiller(student, teacher, *names, optimizer=None, spe=1, **how):
    chosen_methods = [methods.get(name) if isinstance(name, str) else name for name in names]
    model = Distiller(student, teacher=teacher, methods=chosen_methods, **how)
    model.compile(optimizer or keras.optimizers.SGD(0.1, momentum=0.9), steps_per_execution=spe)
    model.optimizer.build(model.trainable_variables)
    return model


def norm(gradients):
    return float(np.sqrt(sum(np.sum(np.square(np.asarray(g, "float64"))) for g in gradients)))


def test_the_norms_are_those_of_the_weighted_terms(net, teacher, images, labels, by_hand):
    student = net("student", norm=False)
    model = distiller(student, teacher, methods.get("kd", weight=3.0), ce_weight=0.5)
    result = gradient_norms.norms(model, (images, labels))
    teacher_logits = teacher(images)
    with tf.GradientTape(persistent=True) as tape:
        logits = student(images)
        ce = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        soft = tf.nn.softmax(teacher_logits / 4)
        kl = 16 * tf.reduce_mean(
            tf.reduce_sum(
                soft * (tf.nn.log_softmax(teacher_logits / 4) - tf.nn.log_softmax(logits / 4)), 1
            )
        )
    variables = [v.value for v in student.trainable_variables]
    assert list(result) == ["ce", "kd"]
    assert result["ce"] == pytest.approx(0.5 * norm(tape.gradient(ce, variables)), rel=1e-5)
    assert result["kd"] == pytest.approx(3.0 * norm(tape.gradient(kl, variables)), rel=1e-5)


def test_measuring_changes_no_bit_of_the_training(net, teacher, images, labels):
    def trained(*callbacks):
        keras.utils.set_random_seed(3)
        student = net("student", dropout=0.5, l2=0.01)
        hints = methods.get("fitnet", student_tap="stage2", teacher_tap="stage2", warmup=0.5)
        model = distiller(student, teacher, "kd", hints, spe=2)
        history = model.fit(
            images,
            labels,
            batch_size=16,
            epochs=2,
            shuffle=True,
            verbose=0,
            callbacks=list(callbacks),
        ).history
        variables = [*model.variables, *model.optimizer.variables, *student.variables]
        return [np.asarray(v) for v in variables], history

    plain, without = trained()
    measured, history = trained(GradientNorms((images[:16], labels[:16]), every=1))
    assert len(plain) == len(measured)
    for one, other in zip(plain, measured, strict=True):
        np.testing.assert_array_equal(one, other)
    own = {name for name in history if name.endswith("_gradient_norm")}
    assert own == {f"{term}_gradient_norm" for term in ("ce", "kd", "fitnet")}
    assert {name: history[name] for name in without} == without


def test_other_epochs_repeat_the_last_measurement(student, teacher, images, labels):
    model = distiller(student, teacher, "kd")
    steps_asked_for = []

    def batch(steps):
        steps_asked_for.append(steps)
        return images[:8], labels[:8]

    norms = GradientNorms(batch, every=5)
    history = model.fit(images, labels, batch_size=20, epochs=7, verbose=0, callbacks=[norms])
    assert steps_asked_for == [2, 8, 14]  # the first epoch, 6 steps later, the last
    values = history.history["kd_gradient_norm"]
    assert [values[0]] * 3 == values[:3]
    assert [values[3]] * 3 == values[3:6]
    assert len({values[0], values[3], values[6]}) == 3
    model.fit(images, labels, batch_size=20, epochs=1, verbose=0, callbacks=[norms])
    assert steps_asked_for == [2, 8, 14, 16]


def test_a_training_that_goes_on_measures_when_it_would_have(student, teacher, images, labels):
    model = distiller(student, teacher, "kd")
    model.prepare_step()
    model.optimizer.iterations.assign(4)  # two epochs of two steps are done
    steps_asked_for = []

    def batch(steps):
        steps_asked_for.append(steps)
        return images[:8], labels[:8]

    earlier = {"ce_gradient_norm": [1.0, 1.0], "kd_gradient_norm": [2.0, 2.0]}
    norms = GradientNorms(batch, every=5, earlier=earlier)
    data = {"batch_size": 20, "initial_epoch": 2, "epochs": 7, "verbose": 0}
    history = model.fit(images, labels, callbacks=[norms], **data).history
    assert steps_asked_for == [8, 14]
    assert history["kd_gradient_norm"][0] == 2.0


def test_the_end_of_a_training_warns_of_a_term_without_a_gradient(net, teacher, images, labels):
    class Idle(methods.base.Method):
        def call(self, student, teacher, batch):
            return 0 * student["logits"][:, 0]

    model = distiller(net("student"), teacher, "kd", Idle(name="idle"))
    with pytest.warns(UserWarning, match=r"^idle has no gradient: the student learns nothing"):
        model.fit(images, labels, verbose=0, callbacks=[GradientNorms((images, labels))])


def test_each_measurement_of_a_history_counts_once():
    history = {"ce_gradient_norm": [1.0, 1.0, 2.0], "kd_gradient_norm": [3.0, 3.0, 3.0], "ce": [0]}
    assert gradient_norms.measurements(history) == [{"ce": 1.0, "kd": 3.0}, {"ce": 2.0, "kd": 3.0}]
    assert gradient_norms.measurements({"loss": [1.0]}) == []


def test_a_loss_of_one_term_is_not_measured(student, images, labels):
    model = distiller(student, None)
    norms = GradientNorms((images, labels))
    history = model.fit(images, labels, verbose=0, callbacks=[norms]).history
    assert not any("gradient" in name for name in history)


def test_what_is_not_minimised_in_a_stage_has_no_gradient(net, teacher, images, labels):
    factors = methods.get("ft", tap="stage2")
    factors.first_stage = 0.5
    model = distiller(net("student"), teacher, factors)
    model.total_steps = 10
    # The first stage trains parts of the method's own.
    assert gradient_norms.norms(model, (images, labels)) == {"ce": 0, "ft": 0}
    model.stage = 0.5
    later = gradient_norms.norms(model, (images, labels))
    assert min(later.values()) > 0


@pytest.mark.parametrize(("precision", "near"), [("mixed_bfloat16", 0.05), ("mixed_float16", 0.01)])
def test_lower_precisions_measure_what_they_train(net, teacher, images, labels, precision, near):
    norms = {}
    for how in ("float32", precision):
        # At 1e-8 the gradients are below float16's smallest number, unless they are scaled.
        kd = methods.get("kd", weight=1e-8)
        model = distiller(net("student"), teacher, kd, precision=how)
        norms[how] = gradient_norms.norms(model, (images, labels))
    assert norms["float32"]["kd"] > 0
    assert norms[precision] == pytest.approx(norms["float32"], rel=near)


def test_a_gradient_that_is_no_number_stops_the_training_and_is_named(student, teacher, images):
    class Rooted(methods.base.Method):
        def call(self, student, teacher, batch):
            return keras.ops.sqrt(
                keras.ops.sum(0 * student["logits"], axis=-1)
            )  # 0, slope infinite

    # A learning rate of 0 times NaN is NaN as well, so no step is taken here.
    model = distiller(student, teacher, "kd", Rooted(name="rooted"))
    norms = GradientNorms((images, np.zeros(40, "int32")))
    norms.set_model(model)
    norms.set_params({"epochs": 1, "steps": 1})
    norms.on_train_begin()
    with pytest.raises(
        stop_on_nan.NonFiniteError, match=r"gradient of rooted is NaN.* after epoch 1"
    ):
        norms.on_epoch_end(0, {})
