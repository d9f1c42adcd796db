import keras
import pytest

from kd_keras.job import fitting
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.optimizers.dot import DOT


def test_dot_takes_the_recipes_momentum_delta_and_decay():
    recipe = Recipe(optimizer="dot", momentum=0.8, delta=0.05, weight_decay=5e-4, ema=0.9)
    made = fitting.optimizer(recipe, 0.1, total_steps=10)
    assert isinstance(made, DOT)
    assert (made.momentum, made.delta, made.l2, made.use_ema) == (0.8, 0.05, 5e-4, True)
    assert float(made.learning_rate) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("adam", keras.optimizers.Adam), ("adamw", keras.optimizers.AdamW), ("dot", DOT)],
)
def test_every_optimizer_takes_a_schedule(name, kind):
    recipe = Recipe(optimizer=name, schedule="cosine")
    made = fitting.optimizer(recipe, 0.1, total_steps=10)
    assert isinstance(made, kind)
    assert float(made.learning_rate) == pytest.approx(0.1)
    fitting.check_optimizer(recipe)


def test_dot_and_float16_are_refused_with_what_to_do():
    recipe = Recipe(optimizer="dot", precision="mixed_float16")
    with pytest.raises(ValueError, match=r"optimizer is dot and the precision mixed_float16.*Give"):
        fitting.check_optimizer(recipe)
    fitting.check_optimizer(Recipe(optimizer="sgd", precision="mixed_float16"))


def test_dot_trains_in_float32_where_float16_would_be_chosen(monkeypatch):
    monkeypatch.setattr(fitting, "best_precision", lambda: "mixed_float16")
    assert fitting.precision(Recipe(optimizer="dot")) == "float32"
    assert fitting.precision(Recipe(optimizer="adam")) == "mixed_float16"


def test_a_momentum_that_never_fades_is_refused():
    with pytest.raises(ValueError, match=r"momentum is 0.95 and delta 0.075; expected a sum below"):
        fitting.check_optimizer(Recipe(optimizer="dot", momentum=0.95))


def test_a_precision_without_units_on_the_machine_is_told_to_be_slow(monkeypatch):
    class Screen:
        warned = ()

        def warn(self, text):
            self.warned = (*self.warned, text)

    screen = Screen()
    monkeypatch.setattr(fitting, "native_precisions", lambda: {"float32"})
    for precision in ("mixed_float16", "float32"):
        assert fitting.precision(Recipe(precision=precision)) == precision
        fitting.warn_of_slow_precision(precision, screen)
    (warning,) = screen.warned
    assert warning.startswith("precision mixed_float16 has no hardware support on this machine")
