import json

import pytest

from kd_keras import data
from kd_keras.results.run_files import run_data


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KD_KERAS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield data.load("digits")


def test_what_is_written_is_read_again(digits, tmp_path):
    run_data.write(tmp_path, digits)
    facts = run_data.read(tmp_path)
    assert facts.class_names == tuple("0123456789")
    assert facts.image_shape == (8, 8, 1)
    assert (facts.dataset, facts.resize) == ("digits", "crop")
    assert facts.fingerprint == digits.fingerprint


def test_the_label_mode_is_read_under_its_old_name_too(digits, tmp_path):
    run_data.write(tmp_path, digits)
    fields = json.loads((tmp_path / run_data.NAME).read_text())
    assert fields.pop("label_mode") == "single"
    (tmp_path / run_data.NAME).write_text(json.dumps({**fields, "labels": "multi"}))
    assert run_data.read(tmp_path).multi_label


def test_a_folder_without_it_is_reported(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no data\.json; expected the folder of a run"):
        run_data.read(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"class_names": ["a"]})])
def test_a_changed_file_is_reported(tmp_path, text):
    (tmp_path / "data.json").write_text(text)
    with pytest.raises(ValueError, match=r"data\.json cannot be read .* Restore the file"):
        run_data.read(tmp_path)
