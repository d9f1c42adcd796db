import json

import pytest

from kd_keras.exports.export_targets import ExportTarget
from kd_keras.job.export_command import export_record

FILES = [ExportTarget("litert", "none"), ExportTarget("onnx", "int8")]


def test_a_file_of_the_same_model_may_be_replaced(tmp_path):
    export_record.check(tmp_path / "none", FILES, "student", "/run/a")
    (tmp_path / "student.tflite").write_text("earlier")
    export_record.add(tmp_path, "student.tflite", {"model": "/run/a", "megabytes": 1})
    export_record.check(tmp_path, FILES, "student", "/run/a")
    (tmp_path / "student.tflite").unlink()
    export_record.add(tmp_path, "student-int8.onnx", {"model": "/run/a"})
    assert list(export_record.read(tmp_path)) == ["student-int8.onnx"]  # the other is gone


@pytest.mark.parametrize(
    ("owner", "message"),
    [
        ("/run/b", r"is of /run/b; expected a folder for the files of /run/a"),
        (None, "did not write"),
    ],
)
def test_a_file_of_another_model_is_refused(tmp_path, owner, message):
    (tmp_path / "student-int8.onnx").write_text("earlier")
    if owner:
        export_record.add(tmp_path, "student-int8.onnx", {"model": owner})
    with pytest.raises(
        ValueError, match=rf"{message}.*Choose another with --out, or .*--overwrite"
    ):
        export_record.check(tmp_path, FILES, "student", "/run/a")
    export_record.check(tmp_path, FILES, "other", "/run/a")


def test_a_changed_record_is_reported(tmp_path):
    (tmp_path / "exports.json").write_text('{"files": 3}')
    with pytest.raises(ValueError, match=r"exports.json cannot be read"):
        export_record.read(tmp_path)


def test_a_file_that_was_removed_during_the_export_is_reported(tmp_path):
    (tmp_path / "a.tflite").touch()
    export_record.require_files(tmp_path, ["a.tflite"])
    message = r"b\.onnx was removed while the export was running\. Leave its folder in place"
    with pytest.raises(FileNotFoundError, match=message):
        export_record.require_files(tmp_path, ["a.tflite", "b.onnx"])


def test_the_results_of_a_run_get_an_entry_for_each_file(tmp_path):
    export_record.add_to_results(tmp_path, tmp_path, {})  # an unfinished run has no results
    (tmp_path / "results.json").write_text('{"student": {"top1": 0.5}}')
    export_record.add_to_results(tmp_path, tmp_path / "exports", {"a.tflite": {"megabytes": 1}})
    export_record.add_to_results(tmp_path, tmp_path.parent, {"b.onnx": {"megabytes": 2}})
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["student"] == {"top1": 0.5}
    assert results["exports"] == {
        "exports/a.tflite": {"megabytes": 1},
        str(tmp_path.parent / "b.onnx"): {"megabytes": 2},
    }
