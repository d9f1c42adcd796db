import json

import pytest

from kd_keras.exports import metadata
from kd_keras.exports.metadata import Metadata
from kd_keras.job.prediction import model_argument

FACTS = Metadata(("cat", "dog"), (8, 8, 3), "pad")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A folder laid out as a finished run, with empty files in place of its models."""
    folder = tmp_path / "runs" / "pets"
    folder.mkdir(parents=True)
    (folder / "recipe.json").write_text("{}")
    entries = json.loads(FACTS.to_json()) | {"fingerprint": "0", "dataset": "folder:/pets"}
    (folder / "data.json").write_text(json.dumps(entries))
    (folder / "results.json").write_text("{}")
    for name in ("teacher", "student"):
        (folder / f"{name}.keras").touch()
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_run_by_name_and_by_path_means_its_student(run):
    for name in ("pets", "runs/pets", str(run), run):
        argument = model_argument.resolve(name)
        assert argument.path.resolve() == run / "student.keras"
        assert (argument.metadata, argument.run.resolve()) == (FACTS, run)


def test_another_model_of_a_run(run):
    argument = model_argument.resolve(run / "teacher.keras")
    assert argument == model_argument.ModelArgument(run / "teacher.keras", FACTS, run)


def test_an_exported_file_belongs_to_its_run(run):
    (run / "exports").mkdir()
    file = run / "exports" / "student.tflite"
    file.touch()
    assert model_argument.resolve(file) == model_argument.ModelArgument(file, FACTS, run)


def test_a_file_of_no_run(tmp_path):
    file = tmp_path / "model.tflite"
    file.touch()
    assert model_argument.resolve(file) == model_argument.ModelArgument(file, Metadata(), None)


def test_a_run_of_an_earlier_version_knows_what_its_export_says(run, tmp_path):
    (run / "data.json").unlink()
    assert model_argument.run_metadata(run) == Metadata()
    assets = tmp_path / "served" / "assets"
    assets.mkdir(parents=True)
    for name, text in metadata.assets(FACTS).items():
        (assets / name).write_text(text)
    results = {"baseline": None, "student": {"export": {"path": str(assets.parent)}}}
    (run / "results.json").write_text(json.dumps(results))
    assert model_argument.run_metadata(run) == FACTS


def test_what_cannot_be_meant_is_said(run):
    with pytest.raises(FileNotFoundError, match=r"no model file and no run 'cats'.*kdk runs"):
        model_argument.resolve("cats")
    (run / "student-2.keras").touch()
    with pytest.raises(ValueError, match=r"has 2 students.*student-2\.keras, .*student\.keras"):
        model_argument.resolve("pets")
    (run / "results.json").unlink()
    with pytest.raises(ValueError, match=r"is not finished.*kdk train --recipe"):
        model_argument.resolve("pets")
