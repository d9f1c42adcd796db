"""The step: what the loss is, what moves and what does not."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from kd_keras import Distiller, methods
from kd_keras.optimizers.deepkd import DeepKD


def sgd(learning_rate=0.1):
    return keras.optimizers.SGD(learning_rate)


def weights(model):
    return [v.numpy() for v in model.trainable_variables]


def assert_equal(one, other, **tolerance):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, **{"rtol": 0, "atol": 0, **tolerance})


def kd_and_fitnet(**kd):
    return [methods.get("kd", **kd), methods.get("fitnet", weight=3.0)]


def test_the_loss_is_the_weighted_sum(net, teacher, images, labels, by_hand, one_step):
    student = net("student", norm=False, l2=0.5)
    kernel = student.get_layer("conv").kernel.numpy()
    logits, teacher_logits = student(images).numpy(), teacher(images).numpy()
    kd = methods.get("kd", temperature=2.0, weight=7.0)
    logs = one_step(Distiller(student, teacher=teacher, methods=kd, ce_weight=0.3), images, labels)
    cross_entropy = by_hand.cross_entropy(labels, logits).mean()
    divergence = by_hand.kl(teacher_logits, logits, 2.0).mean()
    loss = 0.3 * cross_entropy + 7.0 * divergence + 0.5 * (kernel**2).sum()
    assert logs == {
        "loss": pytest.approx(loss, rel=1e-5),
        "ce": pytest.approx(cross_entropy, rel=1e-5),
        "kd": pytest.approx(divergence, rel=1e-5),
        "ce_share": pytest.approx(0.3 * cross_entropy / loss, rel=1e-5),
        "kd_share": pytest.approx(7.0 * divergence / loss, rel=1e-5),
        "agreement": pytest.approx(np.mean(logits.argmax(1) == teacher_logits.argmax(1))),
    }


def test_the_regulariser_is_trained(net, images, labels, one_step):
    student = net("student", norm=False, l2=0.5)
    before = student.get_layer("conv").kernel.numpy()
    one_step(Distiller(student, ce_weight=0.0), images, labels)
    after = student.get_layer("conv").kernel.numpy()
    np.testing.assert_allclose(after, before - 0.1 * 2 * 0.5 * before, rtol=1e-5)


def test_ce_weight_is_the_first_method_s_unless_given(student, teacher):
    both_methods = kd_and_fitnet(ce_weight=0.4)
    assert Distiller(student, teacher=teacher, methods=both_methods).ce_weight == 0.4
    assert Distiller(student, teacher=teacher, methods=both_methods[0], ce_weight=2).ce_weight == 2
    assert Distiller(student).ce_weight == 1


@pytest.mark.parametrize(
    "option",
    ["student", "methods", "ce_weight", "label_smoothing", "precision", "validate_teacher"],
)
def test_what_the_loss_is_made_from_cannot_change_later(student, teacher, option):
    distiller = Distiller(student, teacher=teacher, methods=methods.get("kd"))
    before = distiller.get_config()
    with pytest.raises(AttributeError, match=f"^{option} is set on a Distiller that exists"):
        setattr(distiller, option, 0.5)
    assert distiller.get_config() == before


def test_all_zero_sample_weights_change_nothing(student, teacher, images, labels, one_step):
    distiller = Distiller(student, teacher=teacher, methods=kd_and_fitnet())
    before = weights(distiller)
    logs = one_step(distiller, images, labels, np.zeros(40, "float32"))
    assert logs["loss"] == logs["ce"] == logs["kd"] == logs["fitnet"] == 0
    assert_equal(weights(distiller), before)


def test_a_weight_of_two_is_an_example_twice(net, teacher, images, labels, one_step):
    twice, weighted = (
        Distiller(net("student", norm=False), teacher=teacher, methods=methods.get("kd"))
        for _ in range(2)
    )
    chosen = [0, 1, 1]
    one_step(twice, images[chosen], labels[chosen], optimizer=sgd(0.3))
    # A third of the sum there, half of the same sum here.
    weight = np.array([1.0, 2.0], "float32")
    one_step(weighted, images[:2], labels[:2], weight, optimizer=sgd(0.2))
    assert_equal(weights(weighted), weights(twice), atol=1e-6)


def test_class_weights_multiply_every_loss(net, teacher, images, labels, one_step):
    by_class, by_example = (
        Distiller(net("student", norm=False), teacher=teacher, methods=kd_and_fitnet())
        for _ in range(2)
    )
    for start, variable in zip(weights(by_class), by_example.trainable_variables, strict=True):
        variable.assign(start)  # projectors are drawn anew each time
    factors = {0: 0.0, 1: 2.0, 2: 1.0, 3: 0.5, 4: 3.0}
    one_step(by_class, images, labels, class_weight=factors)
    per_example = np.array([factors[label] for label in labels], "float32")
    one_step(by_example, images, labels, per_example)
    assert_equal(weights(by_class), weights(by_example), atol=1e-7)


def test_the_methods_of_a_distiller_cannot_be_added_to(student, teacher):
    distiller = Distiller(student, teacher=teacher, methods=[methods.get("kd")])
    with pytest.raises(AttributeError, match="append"):
        distiller.methods.append(methods.get("dkd"))


@pytest.mark.parametrize(
    "form", [lambda y: y[:, None], lambda y: np.eye(5, dtype="float32")[y], lambda y: y * 1.0]
)
def test_labels_of_every_form_train_alike(net, teacher, images, labels, form, one_step):
    usual, other = (
        Distiller(net("student", norm=False), teacher=teacher, methods=methods.get("kd"))
        for _ in range(2)
    )
    expected = one_step(usual, images, labels)
    assert one_step(other, images, form(labels)) == pytest.approx(expected, rel=1e-6)
    assert_equal(weights(other), weights(usual), atol=1e-7)


def test_a_cached_teacher_replaces_the_running_teacher(
    student, teacher, images, labels, by_hand, one_step
):
    cached = np.random.default_rng(5).normal(size=(40, 5)).astype("float16")
    x = {"inputs": images, "id": np.arange(40), "teacher": {"logits": cached}}
    logits = student(images).numpy()
    logs = one_step(Distiller(student, teacher=teacher, methods=methods.get("kd")), x, labels)
    expected = by_hand.kl(cached.astype("float32"), logits, 4.0).mean()
    assert logs["kd"] == pytest.approx(expected, rel=1e-5)


def test_the_teacher_stays_as_it_is_and_is_not_the_distiller_s(
    net, student, images, labels, one_step
):
    teacher = net("teacher", width=6, dropout=0.5)
    before = [v.numpy() for v in teacher.variables]
    distiller = Distiller(student, teacher=teacher, methods=kd_and_fitnet())
    count = len(distiller.trainable_variables)
    assert count == len(student.trainable_variables) + 4
    teacher.trainable = True
    one_step(distiller, images, labels)
    assert len(distiller.trainable_variables) == count
    own_variables = {id(v) for v in distiller.variables}
    assert not any(id(v) in own_variables for v in teacher.variables)
    assert teacher not in distiller._flatten_layers()
    for variable, value in zip(teacher.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_one_student_pass_a_step_moves_statistics_once_and_draws_one_mask(
    net, teacher, images, labels, one_step
):
    student = net("student", dropout=0.5)
    (state,) = (v for v in student.variables if v.name == "seed_generator_state")
    start = state.numpy()
    both_methods = [methods.get("kd"), methods.get("fitnet", tap="stage1", teacher_tap="stage1")]
    distiller = Distiller(
        student, teacher=teacher, methods=[*both_methods, methods.get("fitnet", name="second")]
    )
    plain = net("plain", dropout=0.5)
    plain(images, training=True)
    one_step(distiller, images, labels)
    expected = plain.get_layer("norm").moving_mean
    moved = student.get_layer("norm").moving_mean
    np.testing.assert_allclose(moved, expected, atol=1e-6)
    np.testing.assert_array_equal(state.numpy() - start, [0, 1])

    before = [v.numpy() for v in student.variables]
    distiller.test_on_batch(images, labels)
    for variable, value in zip(student.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


class SGDByParts(keras.optimizers.SGD):
    gradient_parts = ("task", "distillation")

    def apply_parts(self, gradients, variables):
        self.seen = gradients
        pairs = [
            [g for g in pair if g is not None] for pair in zip(*gradients.values(), strict=True)
        ]
        self.apply([sum(pair) for pair in pairs], variables)


@pytest.mark.parametrize("with_methods", [True, False])
def test_an_optimizer_by_parts_gets_the_gradients_of_task_and_distillation(
    net, teacher, images, labels, with_methods, one_step
):
    pair = [
        Distiller(
            net("student", norm=False),
            teacher=teacher,
            methods=kd_and_fitnet() if with_methods else [],
        )
        for _ in range(2)
    ]
    for start, variable in zip(weights(pair[0]), pair[1].trainable_variables, strict=True):
        variable.assign(start)
    for model, optimizer in zip(pair, (SGDByParts(0.1), sgd(0.1)), strict=True):
        one_step(model, images, labels, optimizer=optimizer)
    task, distillation = (pair[0].optimizer.seen[part] for part in SGDByParts.gradient_parts)
    inside = len(pair[0].student.trainable_variables)
    assert all(g is not None for g in task[:inside])
    assert all(g is None for g in task[inside:])  # the projector's: the labels do not reach it
    assert all((g is not None) == with_methods for g in distillation[inside - 2 :])
    assert_equal(weights(pair[0]), weights(pair[1]), atol=1e-6)


def test_deepkd_gets_the_gradients_of_target_and_nontarget_parts(
    net, teacher, images, labels, one_step
):
    def distiller(name, **knobs):
        return Distiller(
            net("student", norm=False), teacher=teacher, methods=methods.get(name, **knobs)
        )

    pair = [distiller("dkd", warmup=0.0, weight=0.5) for _ in range(2)]
    for start, variable in zip(weights(pair[0]), pair[1].trainable_variables, strict=True):
        variable.assign(start)
    none = {"task_delta": 0, "target_delta": 0, "nontarget_delta": 0}
    deepkd = DeepKD(0.1, momentum=0, **none)
    for model, optimizer in zip(pair, (deepkd, sgd(0.1)), strict=True):
        one_step(model, images, labels, optimizer=optimizer)
    assert_equal(weights(pair[0]), weights(pair[1]), atol=1e-6)
    momenta = [np.asarray(variables[0]) for variables in deepkd.momenta.values()]
    assert all(np.any(momentum) for momentum in momenta)
    with pytest.raises(ValueError, match=r"methods \['kd'\] have no such parts; expected"):
        distiller("kd").compile(DeepKD(0.1))


def test_float16_scales_the_loss_and_stays_finite(net, teacher, images, labels, one_step):
    distiller = Distiller(
        net("student"), teacher=teacher, methods=kd_and_fitnet(), precision="mixed_float16"
    )
    before = weights(distiller)
    logs = one_step(distiller, images, labels)
    assert isinstance(distiller.optimizer, keras.optimizers.LossScaleOptimizer)
    assert int(distiller.optimizer.iterations) == 1
    assert int(distiller.optimizer.inner_optimizer.iterations) == 1  # the step was not skipped
    assert np.isfinite(logs["loss"])
    assert all(np.isfinite(w).all() for w in weights(distiller))
    assert any(np.any(w != old) for w, old in zip(weights(distiller), before, strict=True))
    assert {v.dtype for v in distiller.student.variables} == {"float32"}
    with pytest.raises(ValueError, match="of task and distillation separately, and these"):
        distiller.compile(SGDByParts(0.1))


def test_the_optimizer_waits_for_the_data(student, images, labels):
    """A step whose data never come leaves no trace (the end of a dataset of unknown size)."""
    distiller = Distiller(student)
    distiller.compile(keras.optimizers.AdamW(weight_decay=0.1))
    batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(16)
    batches = batches.filter(lambda x, y: True)
    assert int(batches.cardinality()) == tf.data.UNKNOWN_CARDINALITY
    distiller.fit(batches, epochs=2, verbose=0)
    assert int(distiller.optimizer.iterations.numpy()) == 6
    of_arrays = distiller.evaluate(images, labels, batch_size=16, verbose=0)
    assert distiller.evaluate(batches, verbose=0) == pytest.approx(of_arrays)


def test_layers_frozen_before_compile_stay(net, teacher, images, labels, one_step):
    student = net("student")
    distiller = Distiller(
        student, teacher=teacher, methods=methods.get("kd"), precision="mixed_bfloat16"
    )
    student.get_layer("conv").trainable = student.get_layer("norm").trainable = False
    frozen = [*student.get_layer("conv").variables, *student.get_layer("norm").variables]
    before, trained = [v.numpy() for v in frozen], student.trainable_variables
    others = [v.numpy() for v in trained]
    one_step(distiller, images, labels)
    assert_equal([v.numpy() for v in frozen], before)
    assert trained
    assert all(np.any(v.numpy() != old) for v, old in zip(trained, others, strict=True))
    assert isinstance(student.get_layer("conv"), layers.Conv2D)


def test_a_teacher_s_statistics_stay_whatever_is_frozen(net, teacher, images, labels):
    norm = teacher.get_layer("norm")
    before = norm.moving_mean.numpy()
    distiller = Distiller(net("s"), teacher=teacher, methods=methods.get("kd"))
    distiller.compile("sgd")
    distiller.fit(images, labels, verbose=0)
    np.testing.assert_array_equal(norm.moving_mean, before)
