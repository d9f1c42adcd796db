"""`kdk evaluate` on a folder of mixed images."""

import json

import pytest
from click.testing import CliRunner

from kd_keras.cli import kdk


@pytest.fixture(scope="module")
def student(net, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "student.keras"
    net("student", classes=2).save(path)
    return path


@pytest.fixture
def evaluate(student, tmp_path, monkeypatch):
    monkeypatch.setenv("KD_KERAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(kdk, ["evaluate", *map(str, words)])


def test_a_model_file_on_a_folder(evaluate, student, mixed_folder, tmp_path):
    words = [student, "--dataset", f"folder:{mixed_folder}", "--split", "all", "--no-timing"]
    result = evaluate(*words, "--out", tmp_path / "out", "--teacher", student)
    assert result.exit_code == 0, result.stderr
    assert "student.keras on 24 images of folder:" in result.stdout
    assert "agreement with the teacher" in result.stdout
    assert "100.00%" in result.stdout
    assert max(map(len, result.stdout.split("\n\n")[0].splitlines()[1:])) <= 80
    document = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    answer = evaluate(*words, "--json", "--out", tmp_path / "out2", "--teacher", student)
    assert answer.exit_code == 0, answer.stderr
    expected = {**document, "folder": str(tmp_path / "out2")}
    assert json.loads(answer.stdout) == expected
    assert document["images"] == 24
    assert sum(row["support"] for row in document["per_class"]) == 24


def test_files_go_to_the_current_folder_for_a_model_of_no_run(
    evaluate, student, mixed_folder, tmp_path
):
    result = evaluate(student, "--dataset", f"folder:{mixed_folder}", "--no-timing", "-q")
    assert result.exit_code == 0, result.stderr
    folder = tmp_path / "evaluations" / "student-keras-folder-pets-validation"
    assert (folder / "confusion.png").is_file()
    assert "written to " in result.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none"], "there is no model file and no run 'none'"),
        (["MODEL"], "no dataset is given; expected one to evaluate it on"),
        (["MODEL", "--split", "val"], "split is 'val'; expected one of: all, test, train"),
        (["MODEL", "--teacher", "none"], "there is no model file and no run 'none'"),
        (["MODEL", "--dataset", "folder:none"], "none does not exist"),
        (["MODEL", "--batch-size", "0", "--dataset", "digits"], "batch_size is 0"),
    ],
)
def test_wrong_words_are_refused(evaluate, student, words, message):
    result = evaluate(*(student if word == "MODEL" else word for word in words))
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
