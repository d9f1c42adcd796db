import math

import pytest

from kd_keras.job.recipe import fields
from kd_keras.job.recipe.fields import Recipe
from kd_keras.job.recipe.old_spelling import OldSpellingWarning


def test_every_field_has_a_default_an_explanation_and_a_group():
    recipe = Recipe()
    for name, field in Recipe.model_fields.items():
        assert not field.is_required(), name
        assert field.description, name
        assert field.json_schema_extra["group"], name
        # A default passes its own check.
        assert getattr(Recipe(**{name: getattr(recipe, name)}), name) == getattr(recipe, name)


def test_text_becomes_what_the_field_holds():
    recipe = Recipe(
        epochs="7", learning_rate="1e-2", baseline="true", ce_weight="none", data_dir="2024"
    )
    assert (recipe.epochs, recipe.learning_rate, recipe.baseline) == (7, 0.01, True)
    assert (recipe.ce_weight, recipe.data_dir) == (None, "2024")
    assert Recipe(method="fitnet:tap=stage2").method == ("fitnet:tap=stage2",)
    assert Recipe(method="none").method == ("none",)
    assert Recipe(assistants=["none"]).assistants == Recipe(assistants="none").assistants == ()


def test_weights_of_teachers_are_text_or_numbers():
    two = {"teacher": ["my teacher.keras", "vgg8"]}
    for weights in (["2", "1"], [2, 1.0]):
        recipe = Recipe(**two, ensemble_weights=weights)
        assert (recipe.teacher, recipe.ensemble_weights) == (tuple(two["teacher"]), (2.0, 1.0))
    assert Recipe(**two, ensemble_weights=("none",)).ensemble_weights is None
    assert Recipe(teacher="my teacher.keras").teacher == ("my teacher.keras",)


@pytest.mark.parametrize(
    ("field", "text", "values"),
    [
        ("method", "kd fitnet:tap=stage2", ("kd", "fitnet:tap=stage2")),
        ("assistants", "resnet32 vgg8:width=2", ("resnet32", "vgg8:width=2")),
        ("ensemble_weights", "2,1", (2.0, 1.0)),
        ("ensemble_weights", ["2, 1"], (2.0, 1.0)),
        ("ensemble_weights", "2 1", (2.0, 1.0)),
    ],
)
def test_several_values_in_one_text_are_read_with_a_warning(field, text, values):
    with pytest.warns(
        OldSpellingWarning, match=f"{field} is .*Give the option again for each value"
    ):
        assert getattr(Recipe(teacher=["vgg8", "vgg13"], **{field: text}), field) == values


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "epochs",
            -1,
            r"^epochs is -1; expected a whole number >= 1 and <= 1000000 \(epochs for stu",
        ),
        ("epochs", 2.5, r"epochs is 2\.5; expected a whole number >= 1 "),
        ("epochs", True, r"epochs is True; expected a whole number"),
        (
            "ce_weight",
            -1,
            r"ce_weight is -1; expected a number >= 0 and <= .* or none .* by --ce-weight",
        ),
        ("temperature", 3, r"'temperature'; expected one of:.* part of its spec, as in kd:temp"),
        ("learning_rate", math.nan, r"learning_rate is nan; expected a number > 0 "),
        ("learning_rate", "fast", r"learning_rate is 'fast'; expected a number > 0 "),
        ("ema", 1, r"ema is 1; expected a number >= 0 and < 1 "),
        ("baseline", "yes", r"baseline is 'yes'; expected true or false "),
        ("dataset", "", r"dataset is ''; expected text "),
        ("data_dir", 4, r"data_dir is 4; expected text or none "),
        ("devices", "tpu", r"devices is 'tpu'; expected text or none \(kind and number, cpu:2"),
        ("optimizer", "adm", r"optimizer is 'adm'; expected one of: adam.*Did you mean 'adam'\?"),
        ("method", [], r"method is \[\]; expected specs, 'none' alone "),
        ("method", ["none", "kd"], r"method is \['none', 'kd'\]; expected specs, 'none' alone"),
        ("method", ["kd:weight"], r"'kd:weight' is not a valid spec; expected NAME"),
        ("teacher", "resnet20:width", r"'resnet20:width' is not a valid spec"),
        ("teacher", [], r"teacher is \(\); expected one spec or more "),
        ("teacher", {"name": "vgg8"}, r"teacher is \{.*expected one spec or more "),
        ("ensemble_weights", [1, 2], r"is \[1\.0, 2\.0\] for 1 teachers; expected a number"),
        ("ensemble_weights", [0], r"expected a number for each, not all 0"),
        (
            "ensemble_weights",
            "-1",
            r"ensemble_weights is -1; expected numbers from 0 to 1e\+09 or none ",
        ),
        (
            "ensemble_weights",
            [math.nan],
            r"ensemble_weights is nan; expected numbers from 0 to 1e\+09 or none ",
        ),
        ("assistants", "resnet14:", r"'resnet14:' is not a valid spec"),
        ("generations", 0, r"generations is 0; expected a whole number >= 1 "),
        ("delta", 1, r"delta is 1; expected a number >= 0 and < 1 "),
        ("epoch", 3, r"recipe field is 'epoch'; expected one of:.*Did you mean 'epochs'\?"),
    ],
)
def test_a_wrong_value_is_refused_with_a_message(name, value, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**{name: value})


def test_every_wrong_field_is_named_at_once():
    with pytest.raises(ValueError, match=r"epochs is 0; .*seed is -1; "):
        Recipe(epochs=0, seed=-1)


def test_a_recipe_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Recipe().epochs = 3


def test_form_has_type_choices_and_whether_none_is_allowed():
    assert fields.form("epochs") == (int, (), False)
    assert fields.form("ce_weight") == (float, (), True)
    assert fields.form("weights") == (str, (), True)
    assert fields.form("method") == fields.form("teacher") == (tuple, (), False)
    assert fields.form("ensemble_weights") == (tuple, (), True)


@pytest.mark.parametrize(
    "fields",
    [
        {"self": 1},
        {"image_size": 8000},
        {"epochs": 10**20},
        {"generations": 10**6},
        {"views": 10**20},
        {"learning_rate": 1e308},
        {"teacher": ("a", "b"), "ensemble_weights": (1e308, 1e308)},
    ],
)
def test_what_would_overflow_is_refused(fields):
    with pytest.raises(ValueError, match=f"{list(fields)[-1]}"):
        Recipe(**fields)


def test_fields_stand_in_the_order_of_their_groups():
    # The order of `kdk train --help`, of recipe files and of recipe.json.
    groups = [field.json_schema_extra["group"] for field in Recipe.model_fields.values()]
    assert list(dict.fromkeys(groups)) == ["Data", "Models", "Method", "Training", "Machine"]
    assert groups == sorted(groups, key=list(dict.fromkeys(groups)).index)
    assert list(Recipe().model_dump()) == list(Recipe.model_fields)


@pytest.mark.parametrize("text", ["none", "strong", "resized_crop:scale=0.35-1,flip"])
def test_augment_is_a_name_or_steps(text):
    assert Recipe(augment=text).augment == text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"augment": "stronk"}, r"augmentation step is 'stronk'; .*Did you mean 'strong'"),
        ({"augment": "flop"}, r"step is 'flop'.*Did you mean 'flip'"),
        ({"augment": "resized_crop:scale=0-1"}, r"resized_crop: scale is 0\.0; .* > 0 and <= 1"),
        ({"augment": "mixup"}, r"give --mixup 0\.2 beside it"),
        ({"augment": ""}, r"augment is ''; expected text "),
        ({"mixup": -1}, r"mixup is -1; expected a number >= 0 "),
        ({"cutmix": "much"}, r"cutmix is 'much'; expected a number >= 0 "),
        ({"augment": "crop", "flip": True}, r"flip is true, and augment is 'crop', which says"),
        ({"augment": "none", "flip": False}, r"flip is false, and augment is 'none'"),
        ({"store_size": 4}, r"store_size is 4; expected a whole number >= 8 "),
        ({"eval_crop": 0}, r"eval_crop is 0; expected a number > 0 and <= 1 "),
    ],
)
def test_an_augmentation_that_cannot_be_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**settings)


def test_named_policies_go_with_flip():
    assert Recipe(augment="strong", flip=False).flip is False


def test_a_batch_is_computed_in_equal_parts():
    assert Recipe(batch_size=64, accumulate=4).images_per_step == 16
    assert Recipe(batch_size=64).images_per_step == 64
    with pytest.raises(ValueError, match=r"batch_size is 64 and accumulate 3; expected a number"):
        Recipe(batch_size=64, accumulate=3)
    for name in ("dot", "deepkd"):
        with pytest.raises(ValueError, match=f"expected 1 with the optimizer {name}, which"):
            Recipe(optimizer=name, accumulate=2)


def test_knobs_of_training_are_text_too_and_have_bounds():
    recipe = Recipe(stop_early="3", clip_norm="0.5", freeze=["stem*", "head"], log_every="10")
    assert (recipe.stop_early, recipe.clip_norm, recipe.log_every) == (3, 0.5, 10)
    assert recipe.freeze == ("stem*", "head")
    assert Recipe(stop_early="none", freeze="none").freeze == ()
    for name in ("stop_early", "clip_norm", "log_every", "accumulate"):
        with pytest.raises(ValueError, match=f"{name} is 0; expected"):
            Recipe(**{name: 0})
    assert Recipe(label_smoothing=1).label_smoothing == 1  # as of Distiller
    with pytest.raises(ValueError, match=r"label_smoothing is 1\.1; expected"):
        Recipe(label_smoothing=1.1)
    with pytest.raises(ValueError, match="optimizer is 'lambda'; expected one of"):
        Recipe(optimizer="lambda")
