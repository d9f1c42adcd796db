import json
from pathlib import Path

import pytest

from kd_keras.job.recipe import recipe_files
from kd_keras.job.recipe.recipe_files import Recipe


def test_built_in_recipes_load_and_say_what_they_are():
    assert recipe_files.names() == (
        *("embed_then_label", "plain_cnn", "quickstart", "teacher_assistant", "tiny_imagenet"),
    )
    for name in recipe_files.names():
        assert recipe_files.load(name).epochs >= 1
        assert len(recipe_files.describe(name)) > 20
        head = recipe_files.explain(name)
        for part in ("# Shows: ", "# Source: ", "# Command: kdk train", "# Time: "):
            assert part in head, (name, part)


def test_the_plain_recipe_is_that_of_the_first_version():
    recipe = recipe_files.load("plain_cnn")
    assert (recipe.teacher, recipe.student) == (("plain_cnn12",), ("plain_cnn4",))
    assert recipe.image_size == 32
    assert recipe_files.parse_spec(recipe.method[0]) == ("kd", {"temperature": 3})
    assert (recipe.batch_size, recipe.epochs, recipe.optimizer) == (1024, 5, "adam")


@pytest.mark.parametrize("name", ["embed_then_label", "quickstart", "teacher_assistant"])
def test_a_first_recipe_needs_no_network(name):
    assert recipe_files.load(name).dataset == "digits"


def test_names_of_runs_stay_or_users_runs_are_redone():
    recipes = [recipe_files.load(name) for name in ("plain_cnn", "tiny_imagenet")]
    assert recipe_files.run_name(recipes[1]) == "tiny_imagenet-resnet8-lskd-0b961a"
    names = [recipe_files.run_name(recipe, earlier=True) for recipe in recipes]
    assert names == ["tiny_imagenet-seed_student-kd-7a643a", "tiny_imagenet-resnet8-lskd-0b961a"]


def test_json_gives_back_an_equal_recipe(tmp_path):
    before = Recipe(
        learning_rate=0.1 + 0.2,
        weight_decay=1e-05,
        method=("kd:temperature=4", "fitnet"),
        data_dir="/ä b/[c]",
        ce_weight=None,
    )
    assert recipe_files.from_json(recipe_files.to_json(before)) == before
    (tmp_path / "recipe.json").write_text(recipe_files.to_json(before), encoding="utf-8")
    assert recipe_files.load(tmp_path) == recipe_files.load(tmp_path / "recipe.json") == before


def test_a_recipe_knows_which_fields_a_person_chose(tmp_path):
    assert recipe_files.load("plain_cnn").model_fields_set == set()
    result = recipe_files.resolve("plain_cnn", {"dataset": "digits"}, ["batch-size=8"])
    assert result.model_fields_set == {"dataset", "batch_size"}
    (tmp_path / "mine.toml").write_text("epochs = 3\n")
    assert recipe_files.resolve(tmp_path / "mine.toml", {"seed": 1}).model_fields_set == {
        "epochs",
        "seed",
    }
    (tmp_path / "recipe.json").write_text(recipe_files.to_json(result))
    assert recipe_files.load(tmp_path).model_fields_set == set(Recipe.model_fields)


def test_weights_name_a_run_only_where_a_model_reads_them(tmp_path):
    plain, app = Recipe(student="resnet8"), Recipe(student="app:MobileNetV2")
    assert recipe_files.run_name(plain) == recipe_files.run_name(
        recipe_files.resolve(plain, {"weights": "none"})
    )
    assert recipe_files.run_name(app) != recipe_files.run_name(
        recipe_files.resolve(app, {"weights": "none"})
    )
    assert (plain.weights, recipe_files.resolve(plain, {"weights": "none"}).weights) == (
        "imagenet",
        None,
    )


def test_a_toml_file_gives_its_fields_and_defaults(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('student = "vgg8"\nmethod = ["kd", "fitnet"]\n')
    assert recipe_files.load(file) == Recipe(student="vgg8", method=("kd", "fitnet"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs = \n", r"mine\.toml': .*line 1"),
        ("epoch = 3\n", r"mine\.toml': recipe field is 'epoch'.*Did you mean 'epochs'\?"),
        ("temperature = -2\n", r"mine\.toml': temperature is -2; expected a finite number > 0"),
        ("[student]\nname = 1\n", r"mine\.toml': student is \{'name': 1\}; expected one spec"),
    ],
)
def test_a_wrong_toml_file_is_named_with_what_is_wrong(tmp_path, text, message):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(ValueError, match=message):
        recipe_files.load(tmp_path / "mine.toml")


def test_a_json_file_that_holds_no_fields_is_refused(tmp_path):
    (tmp_path / "a.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"a\.json': .* expected fields and their values"):
        recipe_files.load(tmp_path / "a.json")


def test_an_unknown_name_and_a_missing_file_say_what_there_is(tmp_path):
    with pytest.raises(ValueError, match=r"recipe is 'quickstrat'.*Did you mean 'quickstart'\?"):
        recipe_files.load("quickstrat")
    with pytest.raises(FileNotFoundError, match=r"nosuch\.toml' does not exist; expected a .toml"):
        recipe_files.load(tmp_path / "nosuch.toml")


def test_a_built_in_name_wins_over_a_folder_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain_cnn").mkdir()
    assert recipe_files.load("plain_cnn").student == ("plain_cnn4",)


def test_a_path_is_a_folder_even_if_it_is_named_like_a_built_in_recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("plain_cnn").mkdir()
    Path("plain_cnn/recipe.json").write_text('{"dataset": "digits"}')
    assert recipe_files.load(Path("plain_cnn")).dataset == "digits"
    assert recipe_files.load("plain_cnn").dataset == "tiny_imagenet"


def test_resolve_prefers_set_then_options_then_the_recipe():
    result = recipe_files.resolve(
        "plain_cnn", {"epochs": "9", "seed": 4}, ["epochs=11", "learning-rate = 0.5"]
    )
    assert (result.epochs, result.seed, result.learning_rate, result.image_size) == (11, 4, 0.5, 32)
    assert recipe_files.resolve() == recipe_files.load("tiny_imagenet")
    assert recipe_files.resolve(Recipe(epochs=2), {"seed": 1}) == Recipe(epochs=2, seed=1)


def test_a_knob_on_the_command_line_replaces_the_recipes_own():
    base = Recipe(method=("kd:weight=0.9,temperature=4", "dkd:weight=2,temperature=3"))
    result = recipe_files.resolve(base, {"temperature": 2, "kd_weight": 0.5})
    assert result.method == ("kd:weight=0.5,temperature=2", "dkd:weight=2,temperature=3")
    each = recipe_files.resolve(base, {"temperature": "2", "each_method": "true"})
    assert each.method == ("kd:weight=0.9,temperature=2", "dkd:weight=2,temperature=2")
    default = recipe_files.resolve(base, sets=["temperature=none"])
    assert default.method[0] == "kd:weight=0.9"
    # A spec from the command line is kept as it is: it is the more particular.
    result = recipe_files.resolve(base, {"temperature": 2, "method": ("kd:temperature=8",)})
    assert result.method == ("kd:temperature=8",)
    result = recipe_files.resolve(base, {"temperature": 2.5, "method": ("kd:weight=0.90",)})
    assert result.method == ("kd:weight=0.90,temperature=2.5",)


def test_a_list_is_set_by_several_sets_and_another_field_by_the_last():
    sets = ["method=kd", "epochs=3", "method=fitnet:tap=stage1", "epochs=4"]
    result = recipe_files.resolve("plain_cnn", {"method": ["dkd"]}, sets)
    assert (result.method, result.epochs) == (("kd", "fitnet:tap=stage1"), 4)
    assert recipe_files.resolve("teacher_assistant", {}, ["assistants=none"]).assistants == ()


@pytest.mark.parametrize("text", ["epochs", "=3", "epochs="])
def test_set_without_field_or_value_says_how_it_is_written(text):
    with pytest.raises(
        ValueError, match=r"--set is '.*'; expected FIELD=VALUE, such as --set epochs=10"
    ):
        recipe_files.resolve("plain_cnn", {}, [text])


def test_run_name_is_readable_and_follows_the_content():
    base = Recipe(student="app:MobileNetV2:alpha=0.35", method=("kd:weight=1", "fitnet"))
    name = recipe_files.run_name(base)
    assert name == "tiny_imagenet-MobileNetV2-kd+fitnet-107df7"  # a new hash redoes users' runs
    others = [
        recipe_files.run_name(recipe_files.resolve(base, {field: value}))
        for field, value in [("seed", 1), ("epochs", 7), ("precision", "float32")]
    ]
    assert len({name, *others}) == 4
    unchanged = {"data_dir": "/x", "baseline": True, "allow_weak_teacher": True}
    assert recipe_files.run_name(recipe_files.resolve(base, unchanged)) == name


def test_run_name_of_paths_is_one_folder_name():
    name = recipe_files.run_name(
        Recipe(dataset="folder:/data/my pets/", student="runs/a:b/s.keras")
    )
    assert name.startswith("my_pets-s-kd-")


def test_one_teacher_is_a_text_and_several_are_a_list(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('teacher = ["vgg8", "resnet8"]\nensemble_weights = [2, 1]\n')
    several = recipe_files.load(file)
    assert json.loads(recipe_files.to_json(several))["teacher"] == ["vgg8", "resnet8"]
    assert json.loads(recipe_files.to_json(Recipe(teacher="vgg8")))["teacher"] == "vgg8"
    assert recipe_files.from_json(recipe_files.to_json(several)) == several
    assert recipe_files.run_name(several) != recipe_files.run_name(
        Recipe(teacher=["resnet8", "vgg8"])
    )
    assert recipe_files.run_name(Recipe(teacher=["vgg8"])) == recipe_files.run_name(
        Recipe(teacher="vgg8")
    )


@pytest.fixture
def finished_run(tmp_path, monkeypatch):
    """A run called "first" under runs/, of a recipe with a foreign teacher and an assistant."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "first"
    folder.mkdir(parents=True)
    recipe = Recipe(
        dataset="digits",
        teacher=["a.keras", "b.keras"],
        ensemble_weights=[2, 1],
        teacher_preprocess="torch",
        assistants=["resnet14"],
        epochs=7,
    )
    (folder / "recipe.json").write_text(recipe_files.to_json(recipe))
    (folder / "results.json").write_text("{}")
    (folder / "student.keras").write_text("")
    return recipe


def test_a_runs_student_teaches_on_that_runs_recipe(finished_run):
    result = recipe_files.resolve(None, {"generations": 3}, teacher_from="first")
    assert recipe_files.difference(finished_run, result) == [
        "teacher: ['a.keras', 'b.keras'] -> 'runs/first/student.keras'",
        "ensemble_weights: [2.0, 1.0] -> None",
        "assistants: ['resnet14'] -> []",
        "generations: 1 -> 3",
        "teacher_preprocess: 'torch' -> None",
    ]


def test_a_runs_student_teaches_on_another_recipe(finished_run):
    result = recipe_files.resolve("teacher_assistant", teacher_from="runs/first/")
    assert recipe_files.difference(recipe_files.load("teacher_assistant"), result) == [
        "teacher: 'resnet56' -> 'runs/first/student.keras'"
    ]


def test_a_run_that_cannot_teach_is_refused_with_a_message(finished_run):
    with pytest.raises(FileNotFoundError, match=r"run folder runs/fist does not exist; .*: first"):
        recipe_files.resolve(teacher_from="fist")
    with pytest.raises(
        ValueError, match=r"expected one of them.*give --teacher runs/first/student"
    ):
        recipe_files.resolve("plain_cnn", {"teacher": "vgg8"}, teacher_from="first")
    with pytest.raises(ValueError, match=r"'first' and the method none.*such as --method kd"):
        recipe_files.resolve("plain_cnn", {"method": "none"}, teacher_from="first")
    (recipe_files.RUNS / "first" / "results.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"runs/first is not finished; .*runs: none"):
        recipe_files.resolve(teacher_from="first")


def test_difference_names_each_field_that_differs():
    assert recipe_files.difference(Recipe(), Recipe()) == []
    assert recipe_files.difference(Recipe(), Recipe(ce_weight=3, method=("none",))) == [
        "method: ['kd'] -> ['none']",
        "ce_weight: None -> 3.0",
    ]
