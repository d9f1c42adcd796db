"""What is named twice in a recipe, and would be trained twice for nothing."""

import pytest

from kd_keras.job.checks import precheck
from kd_keras.job.recipe.recipe_files import Recipe


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"method": ["kd", "dkd", "kd"], "each_method": True},
            "the methods are 'kd' twice; expected different ones, .* Remove one, or change a knob",
        ),
        (
            {"method": ["kd", "kd:temperature=4"], "each_method": True},
            "the methods are 'kd' and 'kd:temperature=4', which are the same; expected",
        ),
        ({"method": ["kd", "kd"]}, r"methods are called \['kd', 'kd'\]; .* Give each a name="),
        ({"student": ["resnet8", "resnet8"]}, r"the students are 'resnet8' twice; .* with --seed"),
        (
            {"student": ["resnet8:width=2,stem_stride=1", "resnet8:stem_stride=1,width=2.0"]},
            "the students are .*, which are the same; expected",
        ),
    ],
)
def test_what_is_named_twice_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        precheck.check_recipe(Recipe(**fields))


def test_a_file_is_the_same_however_its_path_is_written(net, tmp_path):
    path = tmp_path / "teacher.keras"
    net("teacher").save(path)
    again = f"{tmp_path}/../{tmp_path.name}/teacher.keras"
    for role, message in (("teacher", "--ensemble-weights makes one count"), ("student", "--seed")):
        with pytest.raises(
            ValueError, match=rf"the {role}s are .*, which are the same; .*{message}"
        ):
            precheck.check_recipe(Recipe(**{role: [str(path), again]}))


@pytest.mark.parametrize(
    "fields",
    [
        {"teacher": ["resnet20", "resnet20"]},  # each has a seed of its own
        {"assistants": ["resnet14", "resnet14"]},  # the second learns from the first
        {"student": ["resnet8", "resnet8:width=0.5"]},
        {"method": ["kd", "kd:temperature=2"], "each_method": True},
        {"method": ["kd", "kd:temperature=2,name=warm"]},
    ],
)
def test_what_is_not_the_same_may_be_repeated(fields):
    assert precheck.check_recipe(Recipe(**fields)) is None
