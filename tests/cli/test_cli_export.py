"""`kdk export`: its options and its document; job/export_command/test_export.py tests the work."""

import json
import shutil

import keras
import pytest
from click.testing import CliRunner

from kd_keras.cli import kdk
from kd_keras.exports import metadata


@pytest.fixture(scope="module")
def model(net, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "pets.keras"
    net("pets").save(path)
    return path


def kdk_export(*words):
    return CliRunner().invoke(kdk, ["export", *map(str, words)])


@pytest.mark.slow
def test_the_document_names_each_file(model):
    pytest.importorskip("ai_edge_litert", reason="the extra 'litert' is not installed")
    (model.parent / "names.txt").write_text("v\nw\nx\ny\nz\n")
    result = kdk_export(model, "--json", "--class-names", model.parent / "names.txt")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    folder = model.parent / "pets-exports"
    assert document["folder"] == str(folder)
    assert document["files"]["pets.tflite"]["agreement"] == 1
    assert document["files"]["pets.tflite"]["model"] == str(model)
    assert "writing and checking pets.tflite" in result.stderr
    assert metadata.read_litert(folder / "pets.tflite").class_names == tuple("vwxyz")
    assert sorted(path.name for path in folder.iterdir()) == ["exports.json", "pets.tflite"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--format", "savedmodel,tflite"], "format is 'tflite'; expected one of: litert, onnx"),
        (["--format", "savedmodel", "--quantize", "int8"], "expected for savedmodel one of: none"),
        (["--quantize", "int8"], "int8 and there is no dataset"),
        (["--quantize", "int8", "--calibration-images", "20"], "expected a whole number >= 100"),
        (["--out", "phone.tflite"], "expected a folder, in which each file is named"),
        (["--dataset", "digits"], "pets has 5 classes, and its dataset or class names have 10 (0,"),
        (["--class-names", "none.txt"], "class names file none.txt does not exist"),
        (["--preprocess", "imagenet"], "preprocess is 'imagenet'; expected one of"),
    ],
)
def test_wrong_input_is_reported_with_a_message(model, words, message, monkeypatch, tmp_path):
    pytest.importorskip("ai_edge_litert", reason="the extra 'litert' is not installed")
    monkeypatch.setenv("KD_KERAS_CACHE", str(tmp_path))
    result = kdk_export(shutil.copy(model, tmp_path), *words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "pets-exports").exists()


def test_an_unfinished_run_and_a_file_that_is_not_what_its_name_says(tmp_path, model):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.json").write_text("{}")
    result = kdk_export(tmp_path / "run")
    assert result.exit_code == 2
    assert "is not finished" in result.stderr
    assert keras.models.load_model(model).name == "pets"
    (tmp_path / "weights.keras").write_bytes(b"PK\x03\x04 half")
    result = kdk_export(tmp_path / "weights.keras")
    assert result.exit_code == 2
    assert "is not a .keras file, or is truncated" in result.stderr
