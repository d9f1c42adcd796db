import importlib.util

import pytest

from kd_keras.exports import export_targets
from kd_keras.exports.export_targets import ExportTarget


def test_every_offered_combination_once_and_a_line_for_the_others():
    combinations, left_out = export_targets.combinations(
        ["litert", "savedmodel", "litert"], ["none", "int8"]
    )
    assert combinations == [
        ExportTarget("litert", "none"),
        ExportTarget("litert", "int8"),
        ExportTarget("savedmodel", "none"),
    ]
    assert left_out == ["savedmodel has no int8: not written"]
    assert [target.name("pet") for target in combinations] == [
        *("pet.tflite", "pet-int8.tflite", "pet-savedmodel")
    ]
    assert ExportTarget("onnx", "float16").name("pet") == "pet-float16.onnx"


def test_commas_separate_as_repetition_does():
    assert export_targets.combinations(
        ["litert,onnx", "savedmodel"], ["none, int8"]
    ) == export_targets.combinations(["litert", "onnx", "savedmodel"], ["none", "int8"])


@pytest.mark.parametrize(
    ("formats", "quantize", "message"),
    [
        (["litert,tflite"], ["none"], r"format is 'tflite'; expected one of: litert, onnx"),
        (["litert,"], ["none"], r"format is ''; expected one of: litert, onnx"),
        (["tflite"], ["none"], r"format is 'tflite'; expected one of: litert, onnx, savedmodel"),
        (["onnx"], ["int4"], r"quantize is 'int4'; expected one of: float16, int8, none"),
        (
            ["savedmodel", "litert"],
            ["int8"],
            r"expected for savedmodel one of: none. Choose",
        ),
    ],
)
def test_what_is_not_offered(formats, quantize, message):
    with pytest.raises(ValueError, match=message):
        export_targets.combinations(formats, quantize)


def test_a_missing_extra_is_named(monkeypatch):
    find = importlib.util.find_spec
    absent = ("ai_edge_litert", "tf2onnx")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in absent else find(name)
    )
    with pytest.raises(ValueError, match=r"needs ai_edge_litert.*pip install 'kd-keras\[litert\]'"):
        export_targets.combinations(["litert"], ["none"])
    with pytest.raises(ValueError, match=r"needs tf2onnx, .*pip install 'kd-keras\[onnx\]'"):
        export_targets.combinations(["onnx"], ["none"])


def test_out_is_a_folder(tmp_path):
    assert export_targets.folder_of(tmp_path / "phone") == tmp_path / "phone"
    with pytest.raises(
        ValueError, match=r"expected a folder.*such as '.*' and the format|--format"
    ):
        export_targets.folder_of(tmp_path / "phone.tflite")
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="expected a folder"):
        export_targets.folder_of(tmp_path / "file")


def test_out_is_no_saved_model(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(ValueError, match=r"which is a SavedModel.*such as '.*-exports'"):
        export_targets.folder_of(tmp_path)
