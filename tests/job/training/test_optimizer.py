import keras
import numpy as np
import pytest

from kd_keras import methods
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.job.training import optimizer
from kd_keras.optimizers.deepkd import DeepKD
from kd_keras.optimizers.dot import DOT
from kd_keras.optimizers.muon import Muon


def make(recipe, rate=0.1, epochs=1, steps=10, **settings):
    return optimizer.make(recipe, rate, epochs=epochs, steps=steps, **settings)


def test_dot_takes_the_recipes_momentum_delta_and_decay():
    recipe = Recipe(optimizer="dot", momentum=0.8, delta=0.05, weight_decay=5e-4, ema=0.9)
    keras_optimizer = make(recipe)
    assert isinstance(keras_optimizer, DOT)
    assert (
        keras_optimizer.momentum,
        keras_optimizer.delta,
        keras_optimizer.l2,
        keras_optimizer.use_ema,
    ) == (0.8, 0.05, 5e-4, True)
    assert float(keras_optimizer.learning_rate) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("adam", keras.optimizers.Adam),
        ("adamw", keras.optimizers.AdamW),
        ("sgd", keras.optimizers.SGD),
        ("lamb", keras.optimizers.Lamb),
        ("lion", keras.optimizers.Lion),
        ("muon", Muon),
        ("dot", DOT),
        ("deepkd", DOT),  # a model without a method: SGD with momentum
    ],
)
def test_every_optimizer_takes_schedule_decay_clipping_and_averages(name, kind):
    recipe = Recipe(
        optimizer=name, schedule="cosine", weight_decay=0.01, clip_norm=2.0, ema=0.9, method="dkd"
    )
    keras_optimizer = make(recipe)
    assert isinstance(keras_optimizer, kind)
    assert float(keras_optimizer.learning_rate) == pytest.approx(0.1)
    assert (
        keras_optimizer.global_clipnorm,
        keras_optimizer.use_ema,
        keras_optimizer.ema_momentum,
    ) == (2.0, True, 0.9)
    assert (keras_optimizer.l2 if kind is DOT else keras_optimizer.weight_decay) == 0.01
    optimizer.check(recipe)


def test_a_new_optimizer_of_keras_trains_as_keras_does(student, teacher, images, labels, one_step):
    from kd_keras import Distiller

    start = student.get_weights()
    for name, by_hand in (("lamb", keras.optimizers.Lamb), ("lion", keras.optimizers.Lion)):
        ends = []
        for each in (make(Recipe(optimizer=name), 0.01), by_hand(0.01)):
            student.set_weights(start)
            distiller = Distiller(student, teacher=teacher, methods=methods.get("kd"))
            one_step(distiller, images, labels, optimizer=each)
            ends.append(student.get_weights())
        for actual, expected, before in zip(*ends, start, strict=True):
            np.testing.assert_array_equal(actual, expected)
            assert np.any(actual != before)


def test_deepkd_takes_momentum_and_delta_for_a_student_and_sgd_for_a_plain_model():
    recipe = Recipe(optimizer="deepkd", method="dkd", momentum=0.8, delta=0.05, weight_decay=5e-4)
    keras_optimizer = make(recipe, methods=[methods.get("dkd")])
    assert isinstance(keras_optimizer, DeepKD)
    assert keras_optimizer.deltas == {"task": 0.05, "nontarget": 0.05, "target": -0.05}
    assert (keras_optimizer.momentum, keras_optimizer.l2, keras_optimizer.as_coded) == (
        0.8,
        5e-4,
        False,
    )
    plain = make(recipe)
    assert (type(plain), plain.momentum, plain.l2) == (DOT, 0.8, 5e-4)
    optimizer.check(recipe)


def test_deepkd_and_a_method_without_parts_are_refused_before_anything_is_trained():
    with pytest.raises(ValueError, match=r"methods \['kd'\] have no such parts; expected"):
        optimizer.check(Recipe(optimizer="deepkd", method="kd"))


def test_muon_leaves_the_last_layer_to_adam_and_says_where_it_has_nothing_to_do(net):
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(3, name="hidden")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, name="logits")(hidden), name="mlp")
    recipe = Recipe(optimizer="muon")
    keras_optimizer = make(recipe, model=model)
    keras_optimizer.build(model.trainable_variables)
    by_muon = [
        v.path
        for v, velocity in zip(
            model.trainable_variables, keras_optimizer.adam_velocities, strict=True
        )
        if velocity is None
    ]
    assert by_muon == ["hidden/kernel"]
    assert optimizer.notes(recipe, [model]) == []
    (note,) = optimizer.notes(recipe, [net("student")])
    assert note.startswith("optimizer muon is AdamW for student: ")


def test_a_warm_up_and_a_last_rate_make_the_schedule():
    recipe = Recipe(schedule="cosine", warmup_epochs=2, final_learning_rate=0.01)
    keras_optimizer = make(recipe, epochs=10, steps=4)
    rates = []
    for _ in range(41):
        rates.append(float(keras_optimizer.learning_rate))
        keras_optimizer.iterations.assign_add(1)
    np.testing.assert_allclose(rates[:8], 0.1 * np.arange(1, 9) / 8, rtol=1e-6)
    assert rates[8] == pytest.approx(0.1)
    assert rates[40] == pytest.approx(0.01)
    assert sorted(rates[8:], reverse=True) == rates[8:]


def test_gathered_batches_count_once_for_the_schedule():
    single = make(Recipe(schedule="cosine", warmup_epochs=1), epochs=3, steps=5)
    parts = make(Recipe(schedule="cosine", warmup_epochs=1, accumulate=4), epochs=3, steps=20)
    for update in range(15):
        rates = []
        for keras_optimizer, step in (
            (single, update),
            (parts, 4 * update),
            (parts, 4 * update + 3),
        ):
            keras_optimizer._iterations.assign(step)
            rates.append(float(keras_optimizer.learning_rate))
        assert rates[0] == rates[1] == rates[2]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"warmup_epochs": 5}, "warmup_epochs is 5 and epochs 5; expected a warm-up shorter"),
        (
            {"warmup_epochs": 3, "teacher_epochs": 2},
            "warmup_epochs is 3 and teacher_epochs 2; expected",
        ),
        (
            {"warmup_epochs": 1, "schedule": "one-cycle"},
            "schedule is one-cycle, which has a warm-up of its own",
        ),
        (
            {"final_learning_rate": 1e-5},
            "the final learning rate is 1e-05 and the schedule constant, which falls to none",
        ),
        (
            {"final_learning_rate": 0.1, "schedule": "cosine"},
            "the final learning rate is 0.1 and the highest 0.001; expected",
        ),
        (
            {
                "final_learning_rate": 1e-3,
                "schedule": "cosine",
                "baseline": True,
                "baseline_learning_rate": 1e-4,
            },
            "the final learning rate is 0.001 and the highest 0.0001",
        ),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        optimizer.check(Recipe(**fields))


def test_a_warm_up_as_long_as_the_epochs_of_a_teacher_from_a_file_is_fine():
    recipe = Recipe(warmup_epochs=3, teacher_epochs=1, teacher="teacher.keras")
    optimizer.check(recipe)


def test_dot_and_float16_are_refused_with_what_to_do():
    recipe = Recipe(optimizer="dot", precision="mixed_float16")
    with pytest.raises(ValueError, match=r"optimizer is dot and the precision mixed_float16.*Give"):
        optimizer.check(recipe)
    optimizer.check(Recipe(optimizer="sgd", precision="mixed_float16"))


def test_dot_trains_in_float32_where_float16_would_be_chosen(monkeypatch):
    monkeypatch.setattr(optimizer, "best_precision", lambda: "mixed_float16")
    assert optimizer.precision(Recipe(optimizer="dot")) == "float32"
    assert optimizer.precision(Recipe(optimizer="adam")) == "mixed_float16"


def test_a_momentum_that_never_fades_is_refused():
    with pytest.raises(ValueError, match=r"momentum is 0.95 and delta 0.075; expected a sum below"):
        optimizer.check(Recipe(optimizer="dot", momentum=0.95))


def test_a_precision_without_hardware_support_is_reported_as_slow(monkeypatch):
    class Screen:
        warned = ()

        def warn(self, text):
            self.warned = (*self.warned, text)

    screen = Screen()
    monkeypatch.setattr(optimizer, "native_precisions", lambda: {"float32"})
    for precision in ("mixed_float16", "float32"):
        assert optimizer.precision(Recipe(precision=precision)) == precision
        optimizer.warn_of_slow_precision(precision, screen)
    (warning,) = screen.warned
    assert warning.startswith("precision mixed_float16 has no hardware support on this machine")
