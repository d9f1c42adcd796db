from pathlib import Path
from types import SimpleNamespace

from kd_keras.job.compare_command import group_names
from kd_keras.job.recipe import recipe_files


def named(**fields):
    """The names of two groups, of the quickstart recipe and of one with other fields."""
    settings = {"one": {}, "other": fields}
    students = [
        (SimpleNamespace(path=Path(run), recipe=recipe_files.resolve("quickstart", s)), "student")
        for run, s in settings.items()
    ]
    return group_names.names(students)


def test_values_are_written_as_in_a_recipe():
    assert named(devices="cpu:2") == ["devices none", "devices cpu:2"]
    assert named(deterministic=True) == ["deterministic false", "deterministic true"]
