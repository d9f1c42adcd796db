import keras
import pytest

from kd_keras import phases, recipe

ASKED = recipe.Recipe(dataset="digits")


def tiny():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])


def test_a_name_lies_under_runs_and_a_path_where_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert phases.RunFolder(ASKED, "mine").path.parts == ("runs", "mine")
    assert phases.RunFolder(ASKED, str(tmp_path / "there")).path == tmp_path / "there"
    assert phases.RunFolder(ASKED).name == recipe.run_name(ASKED)
    assert not list(tmp_path.iterdir())


def test_a_phase_is_finished_once_model_and_history_are_there(tmp_path):
    folder = phases.RunFolder(ASKED, str(tmp_path / "run"))
    folder.start({"data": "fingerprint"})
    assert folder.finished("teacher") is None
    folder.finish("teacher", tiny(), {"loss": [1.0]})
    assert folder.finished("teacher") == {"loss": [1.0]}
    folder.model_file("teacher").unlink()
    assert folder.finished("teacher") is None


def test_a_started_folder_takes_no_other_recipe(tmp_path):
    phases.RunFolder(ASKED, str(tmp_path / "run")).start({})
    phases.RunFolder(ASKED, str(tmp_path / "run"))
    with pytest.raises(ValueError, match=r"\(seed: 0 -> 1\)\. Choose another name with --run"):
        phases.RunFolder(ASKED.model_copy(update={"seed": 1}), str(tmp_path / "run"))


def test_a_digest_depends_on_every_byte_of_a_folder(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"one")
    before = phases.digest(tmp_path / "a")
    assert before == phases.digest(tmp_path / "a")
    (tmp_path / "a" / "file").write_bytes(b"two")
    assert phases.digest(tmp_path / "a") != before
