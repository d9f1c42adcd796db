import json
import warnings

import pytest

from kd_keras.job.images import adjustment
from kd_keras.job.recipe import recipe_files
from kd_keras.job.recipe.fields import Recipe
from kd_keras.job.recipe.old_spelling import OldSpellingWarning


def test_old_recipes_with_temperature_and_weight_are_read_into_the_specs(tmp_path):
    fields = {"method": ["kd", "fitnet", "dkd:temperature=3"], "temperature": 2.0}
    (tmp_path / "recipe.json").write_text(json.dumps({**fields, "kd_weight": 0.5}))
    with pytest.warns(
        OldSpellingWarning, match=r"not fields of a recipe.*Write method = \['kd:temp"
    ):
        result = recipe_files.load(tmp_path)
    # The temperature was every method's that has one and no own; the weight the first one's.
    assert result.method == ("kd:temperature=2,weight=0.5", "fitnet", "dkd:temperature=3")
    with pytest.warns(OldSpellingWarning):
        each = recipe_files.from_json(
            json.dumps({"method": ["kd", "dkd"], "each_method": True, "kd_weight": 0.5})
        )
    assert each.method == ("kd:weight=0.5", "dkd:weight=0.5")
    (tmp_path / "mine.toml").write_text("temperature = 3\n")
    with pytest.warns(OldSpellingWarning):
        assert recipe_files.load(tmp_path / "mine.toml") == Recipe(method=["kd:temperature=3"])


def test_old_recipes_without_values_are_read_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = recipe_files.from_json('{"temperature": null, "kd_weight": null, "epochs": 3}')
        plain = recipe_files.from_json('{"temperature": 3, "method": ["none"]}')
    assert (result, plain) == (Recipe(epochs=3), Recipe(method="none"))


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("temperature", 0, "temperature is 0; expected a finite number > 0. Or give none"),
        ("temperature", "hot", "temperature is 'hot'; expected a finite number > 0."),
        ("kd_weight", -1, "kd_weight is -1; expected a finite number >= 0. Or give none"),
        ("kd_weight", True, "kd_weight is True; expected a finite number >= 0."),
    ],
)
def test_a_wrong_value_is_refused_with_a_message(option, value, message):
    with pytest.raises(ValueError, match=message):
        recipe_files.resolve("plain_cnn", {option: value})


def test_plain_training_has_no_knobs_to_set():
    assert recipe_files.resolve("plain_cnn", {"method": "none", "temperature": 3}).method == (
        "none",
    )


def test_a_method_that_replaces_another_keeps_the_knobs_that_were_chosen():
    recipe = recipe_files.resolve(None, {"dataset": "folder:pets", "temperature": "3"})
    assert recipe.method == ("lskd:temperature=3,weight=9,ce_weight=0.1",)
    result = adjustment.adjust_recipe(recipe, num_images=180, side=64, num_classes=2)
    assert result.method == ("kd:temperature=3",)
