"""What more epochs are refused for; tests/job/test_resume.py trains them."""

import pytest

from kd_keras.job import added_epochs
from kd_keras.job.recipe import recipe_files
from kd_keras.job.run_folders.run_folder import RunFolder

RECIPE = recipe_files.Recipe(dataset="digits", epochs=3)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"schedule": "cosine"}, "its schedule is cosine, whose learning rates depend on"),
        ({"stop_early": 2}, "it stops early, by itself"),
        ({"generations": 2}, "its students learn from models that would be trained for more"),
        ({"assistants": ("resnet14",)}, "its students learn from models that would be trained"),
        (
            {"method": ("kd:warmup=0.5", "ctkd")},
            r"its loss changes over the run \(method kd, ctkd\)",
        ),
    ],
)
def test_what_depends_on_the_number_of_epochs_is_refused(tmp_path, fields, reason):
    recipe, path = RECIPE.model_copy(update=fields), str(tmp_path / "run")
    RunFolder(recipe.model_copy(update={"epochs": 2}), path).start({})
    message = rf"cannot go on to epoch 3: {reason}.*Train a new run of 3 epochs"
    with pytest.raises(ValueError, match=message):
        added_epochs.check(RunFolder(recipe, path, more_epochs=True))


def test_fewer_epochs_and_a_run_without_its_last_checkpoint_are_refused(tmp_path):
    path = tmp_path / "run"
    folder = RunFolder(RECIPE, str(path))
    folder.start({})
    assert not added_epochs.check(RunFolder(RECIPE, str(path), more_epochs=True))
    folder.model_file("student").write_text("")
    folder.update("student", history={"loss": [1.0, 0.5, 0.4]})
    more = RunFolder(RECIPE.model_copy(update={"epochs": 9}), str(path), more_epochs=True)
    with pytest.raises(ValueError, match="has no checkpoint of the end of the student"):
        added_epochs.check(more)
    fewer = RunFolder(RECIPE.model_copy(update={"epochs": 2}), str(path), more_epochs=True)
    with pytest.raises(ValueError, match=r"--epochs is 2 and run .* has 3; expected more"):
        added_epochs.check(fewer)


def test_the_last_checkpoint_is_kept_where_it_is_of_use(tmp_path):
    with_baseline = RECIPE.model_copy(update={"baseline": True})
    assert added_epochs.end_of(with_baseline, tmp_path, ["baseline"]) == tmp_path / "ends/baseline"
    assert added_epochs.end_of(RECIPE, tmp_path, ["student"]) == tmp_path / "ends/student"
    assert added_epochs.end_of(RECIPE, tmp_path, ["teacher"]) is None
    cosine = RECIPE.model_copy(update={"schedule": "cosine"})
    assert added_epochs.end_of(cosine, tmp_path, ["student"]) is None
