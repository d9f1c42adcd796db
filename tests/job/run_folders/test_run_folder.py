import keras
import numpy as np
import pytest

from kd_keras import files
from kd_keras.job.recipe import recipe_files
from kd_keras.job.run_folders import run_folder

RECIPE = recipe_files.Recipe(dataset="digits")


def tiny():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])


def test_a_name_lies_under_runs_and_a_path_where_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_folder.RunFolder(RECIPE, "mine").path.parts == ("runs", "mine")
    assert run_folder.RunFolder(RECIPE, str(tmp_path / "there")).path == tmp_path / "there"
    assert run_folder.RunFolder(RECIPE).name == recipe_files.run_name(RECIPE)
    assert not list(tmp_path.iterdir())


def test_a_phase_is_finished_once_model_and_history_are_there(tmp_path):
    folder = run_folder.RunFolder(RECIPE, str(tmp_path / "run"))
    folder.start({"data": "fingerprint"})
    assert folder.history("teacher") is None
    folder.save("teacher", tiny(), {"loss": [1.0]}, seconds=2.5)
    folder.update("teacher", result={"top1": 0.5})
    assert folder.history("teacher") == {"loss": [1.0]}
    assert folder.read("teacher")["training_seconds"] == 2.5
    folder.model_file("teacher").unlink()
    assert folder.history("teacher") is None
    folder.save("teacher", tiny(), {"loss": [0.5]}, seconds=2.0)
    assert "result" not in folder.read("teacher")  # it was of another model


def test_predictions_are_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    folder = run_folder.RunFolder(RECIPE, str(tmp_path))
    folder.save_predictions("student", np.array([0, 1]))

    def fill_the_disk(path, array):
        path.write_bytes(b"half")
        raise OSError("no room")

    monkeypatch.setattr(files, "save_array", fill_the_disk)
    with pytest.raises(OSError, match="no room"):
        folder.save_predictions("student", np.array([1, 1]))
    np.testing.assert_array_equal(folder.predictions("student"), [0, 1])


def test_agreement_is_of_the_predictions_that_two_phases_left(tmp_path):
    folder = run_folder.RunFolder(RECIPE, str(tmp_path / "run"))
    folder.start({})
    assert folder.agreement("student", "teacher") is None
    folder.save_predictions("teacher", np.array([0, 1, 2, 3]))
    folder.save_predictions("student", np.array([0, 1, 3, 2]))
    assert folder.agreement("student", "teacher") == 0.5


def test_scores_are_kept_in_float32(tmp_path):
    folder = run_folder.RunFolder(RECIPE, str(tmp_path / "run"))
    folder.start({})
    assert folder.scores("student") is None
    folder.save_scores("student", np.array([[0.5, 1.5]]))
    assert folder.scores("student").dtype == "float32"
    assert folder.scores("student").tolist() == [[0.5, 1.5]]
    assert (folder.path / "student-scores.npy").is_file()


def test_an_export_of_another_run_of_the_same_name_is_not_replaced(tmp_path):
    first, second = (run_folder.RunFolder(RECIPE, str(tmp_path / name / "run")) for name in "ab")
    exported = tmp_path / "saved_models" / "run"
    exported.mkdir(parents=True)
    first.start({})
    first.sign_export(exported)
    first.check_export(exported)
    with pytest.raises(ValueError, match=r"holds the student of the run .*a/run; .* --export-dir"):
        second.check_export(exported)
    (first.path / "recipe.json").unlink()  # that run is gone
    second.check_export(exported)


def test_an_export_that_would_replace_the_run_folder_is_refused(tmp_path):
    folder = run_folder.RunFolder(RECIPE, str(tmp_path / "saved_models" / "run"))
    for exported in (folder.path, folder.path.parent):
        with pytest.raises(ValueError, match=r"would replace the run folder .* --export-dir"):
            folder.check_export(exported)
    folder.check_export(folder.path / "saved_models" / "student")


def test_a_started_folder_takes_no_other_recipe(tmp_path):
    run_folder.RunFolder(RECIPE, str(tmp_path / "run")).start({})
    run_folder.RunFolder(RECIPE, str(tmp_path / "run"))
    with pytest.raises(ValueError, match=r"\(seed: 0 -> 1\).* Choose another name with --run"):
        run_folder.RunFolder(RECIPE.model_copy(update={"seed": 1}), str(tmp_path / "run"))


def test_results_without_a_recipe_are_refused(tmp_path):
    (tmp_path / "run").mkdir()
    run_folder.RunFolder(RECIPE, str(tmp_path / "run"))  # an empty folder
    (tmp_path / "run" / "results.json").write_text("{}")
    message = r"holds results\.json alone; expected recipe\.json .* choose another name with --run"
    with pytest.raises(ValueError, match=message):
        run_folder.RunFolder(RECIPE, str(tmp_path / "run"))


@pytest.mark.parametrize("removed", [".", "recipe.json"])
def test_a_folder_that_is_removed_under_the_run_is_reported(tmp_path, removed):
    folder = run_folder.RunFolder(RECIPE, str(tmp_path / "run"))
    folder.start({})
    (folder.path / removed).rename(tmp_path / "gone")
    (tmp_path / "run").mkdir(exist_ok=True)
    with pytest.raises(FileNotFoundError, match=r"removed while the run was writing into it"):
        folder.update("student", result={})


def test_a_finished_run_without_times_is_finished_only_where_none_are_wanted(tmp_path):
    path = str(tmp_path / "run")
    untimed = run_folder.RunFolder(RECIPE.model_copy(update={"timing": False}), path)
    untimed.start({})
    results = {"student": {"top1": 0.5, "milliseconds_per_image": None}, "data": {}}
    files.write_json(tmp_path / "run" / "results.json", results)
    assert untimed.results() == results
    assert run_folder.RunFolder(RECIPE, path).results() is None


def test_what_changes_no_result_may_differ(tmp_path):
    run_folder.RunFolder(RECIPE, str(tmp_path / "run")).start({})
    other = {"allow_weak_teacher": True, "baseline": True, "data_dir": "elsewhere"}
    other["timing"] = False
    run_folder.RunFolder(RECIPE.model_copy(update=other), str(tmp_path / "run"))


def test_phases_of_another_teacher_are_refused(tmp_path):
    folder = run_folder.RunFolder(RECIPE, str(tmp_path / "run"))
    folder.start({"teacher": "one", "data": "same"})
    with pytest.raises(ValueError, match=r"was made with a different teacher; expected the same\."):
        folder.start({"teacher": "two", "data": "same"})


def test_results_without_the_baseline_asked_for_are_not_finished(tmp_path):
    folder = run_folder.RunFolder(RECIPE, str(tmp_path / "run"))
    folder.start({})
    (folder.path / "results.json").write_text('{"baseline": null}')
    assert folder.results() == {"baseline": None}
    with_baseline = RECIPE.model_copy(update={"baseline": True})
    assert run_folder.RunFolder(with_baseline, str(tmp_path / "run")).results() is None
