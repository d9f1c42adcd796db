"""Old names of fields, models and knobs are read, with one warning."""

import json
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from kd_keras import job, methods
from kd_keras.cli import kdk, quiet
from kd_keras.job.recipe import recipe_files
from kd_keras.job.recipe.fields import Recipe
from kd_keras.job.recipe.old_spelling import FIELDS, OldSpellingWarning
from kd_keras.job.run_folders.run_folder import RunFolder

VALUES = {
    "labels": "multi",
    "select": True,
    "teacher_weights": [2, 1],
    "teacher_classes": "names.txt",
}


@pytest.mark.parametrize("old", FIELDS)
def test_an_old_name_of_a_field_is_read_with_one_warning(tmp_path, old):
    new, value = FIELDS[old], VALUES[old]
    two = Recipe(teacher=["vgg8", "vgg13"])
    expected = two.model_copy(update={new: Recipe(**dict(two) | {new: value}).model_dump()[new]})
    file = tmp_path / "recipe.json"
    file.write_text(json.dumps({"teacher": ["vgg8", "vgg13"], old: value}))
    texts = [str(item).lower() for item in (value if isinstance(value, list) else [value])]
    for read in (
        lambda: recipe_files.load(file),
        lambda: recipe_files.resolve(two, {old: value}),
        lambda: recipe_files.resolve(two, sets=[f"{old.replace('_', '-')}={t}" for t in texts]),
    ):
        with pytest.warns(
            OldSpellingWarning, match=f"new names: {old} is {new}. Write the new"
        ) as seen:
            recipe = read()
        assert len(seen) == 1
        assert recipe == expected
        assert new in recipe.model_fields_set


@pytest.mark.parametrize("old", FIELDS)
def test_a_saved_recipe_with_the_default_of_an_old_field_is_read_in_silence(old):
    fields = json.loads(recipe_files.to_json(Recipe(epochs=3)))
    fields[old] = fields.pop(FIELDS[old])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert recipe_files.from_json(json.dumps(fields)) == Recipe(epochs=3)


def test_a_field_may_not_have_both_names():
    with pytest.raises(ValueError, match=r"labels and label_mode are both given; .* Remove labels"):
        Recipe(labels="multi", label_mode="multi")


def test_old_names_of_models_and_recipes_are_read_with_a_warning():
    with pytest.warns(OldSpellingWarning, match=r"new name. Write 'plain_cnn12:width=2'"):
        assert Recipe(teacher="seed_teacher:width=2").teacher == ("plain_cnn12:width=2",)
    with pytest.warns(
        OldSpellingWarning, match="recipe seed has a new name. Write plain_cnn"
    ) as seen:
        assert recipe_files.load("seed") == recipe_files.load("plain_cnn")
    assert len(seen) == 1
    result = CliRunner().invoke(kdk, ["list", "recipes", "seed"])
    assert "kdk train --recipe plain_cnn" in result.stdout
    assert "kdk: warning: The recipe seed has a new name. Write plain_cnn." in result.stderr


def test_the_run_folder_of_an_earlier_version_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fields = {"label_mode": "multi", "dataset": "folder:photos"}
    recipe = Recipe(**fields, student="plain_cnn4", teacher="plain_cnn12:width=2")
    own, earlier = RunFolder(recipe).path, Path("runs/photos-seed_student-kd-bea50e")
    assert own.name.startswith("photos-plain_cnn4-kd-")
    assert own.name != earlier.name
    earlier.mkdir(parents=True)
    assert RunFolder(recipe).path == earlier
    facts = {"teacher": "seed_teacher:width=2", "student": ["seed_student", "vgg8"]}
    facts["teacher_classes"] = "a hash"
    (earlier / "provenance.json").write_text(json.dumps(facts))
    RunFolder(recipe).check_same_provenance(
        {"teacher": "plain_cnn12:width=2", "student": ["plain_cnn4", "vgg8"]}
    )
    with pytest.raises(ValueError, match="made with a different teacher_class_names"):
        RunFolder(recipe).check_same_provenance({"teacher_class_names": "another hash"})
    own.mkdir()
    assert RunFolder(recipe).path == own


@pytest.mark.parametrize("command", ["train", "evaluate", "predict", "export", "cache"])
def test_labels_is_a_second_name_of_label_mode(command):
    text = CliRunner().invoke(kdk, [command, "--help"]).output
    assert "--label-mode, --labels [single|multi]" in text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("gkl:temperature=2,cross_entropy_weight=3", "gkl:temperature=2,soft_target_weight=3"),
        ("wkd:class_distances=a.npy", "wkd:class_distances_file=a.npy"),
        ("at:power=3", "at:exponent=3"),
        ("ft:map_power=3,difference_power=2", "ft:map_exponent=3,difference_exponent=2"),
        ("cc:dimensions=9", "cc:embedding_size=9"),
        ("ft:rate=1", "ft:paraphrase_rate=1"),
        ("simkd:factor=4", "simkd:reduction_factor=4"),
        ("lskd:over=dkd", "lskd:base_method=dkd"),
        ("sdd:over=dkd,scales=1", "sdd:base_method=dkd,scales=1"),
    ],
)
def test_an_old_name_of_a_knob_is_read_with_one_warning(old, new):
    with pytest.warns(OldSpellingWarning, match=f"new names. Write '{new}'") as seen:
        recipe = recipe_files.from_json(json.dumps({"method": ["kd", old]}))
    assert (recipe.method, len(seen)) == (("kd", new), 1)
    assert recipe_files.run_name(recipe) != recipe_files.run_name(recipe, earlier=True)
    name, knobs = recipe_files.parse_spec(new)
    assert set(knobs) <= set(methods.knobs(name))


def test_a_saved_method_with_an_old_name_of_a_knob_is_loaded():
    config = {"cross_entropy_weight": 3.0, "temperature": 2.0}  # of a .keras file
    assert type(methods.get("gkl")).from_config(config).soft_target_weight == 3


def test_the_command_line_shows_each_warning_once():
    words = ["--teacher", "seed_student", "--student", "seed_student", "--method", "no_such"]
    lines = CliRunner().invoke(kdk, ["train", *words]).stderr
    assert lines.count("The model 'seed_student' has a new name. Write 'plain_cnn4'.") == 1


@pytest.mark.parametrize(
    ("arguments", "field", "value"),
    [
        (["--select"], "validate_on_holdout", True),
        (["--teacher-weights", "2", "--teacher-weights", "1"], "ensemble_weights", (2.0, 1.0)),
        (["--labels", "multi"], "label_mode", "multi"),
        (["--teacher-classes", "n.txt", "--teacher", "t.keras"], "teacher_class_names", "n.txt"),
    ],
)
def test_old_options_work_and_no_help_shows_them(monkeypatch, arguments, field, value):
    recipes = []
    monkeypatch.setattr(quiet, "import_tensorflow", lambda: None)
    fake = SimpleNamespace(run=lambda recipe, **options: recipes.append(recipe) or {})
    monkeypatch.setitem(sys.modules, "kd_keras.job.train", fake)
    monkeypatch.setattr(job, "train", fake, raising=False)
    teachers = ["--teacher", "vgg8", "--teacher", "vgg13"] if field == "ensemble_weights" else []
    result = CliRunner().invoke(kdk, ["train", *teachers, *arguments])
    assert getattr(recipes[0], field) == value
    # A second name is for good, so without a warning.
    is_second_name = field in ("label_mode", "teacher_class_names")
    assert ("kdk: warning: " in result.stderr) != is_second_name
    assert (arguments[0] + " " in CliRunner().invoke(kdk, ["train", "--help"]).output) == (
        is_second_name
    )
