import zipfile

import pytest

from kd_keras.exports import metadata
from kd_keras.exports.metadata import Metadata

FACTS = Metadata(("cat", "dog", "Žába, grün"), (8, 6, 3), "pad")


def test_metadata_survive_their_text():
    assert Metadata.from_json(FACTS.to_json()) == FACTS
    assert Metadata.from_json(Metadata().to_json()) == Metadata()
    assert Metadata.from_json('{"class_names": ["a"], "of a later version": 1}') == Metadata(("a",))
    with pytest.raises(ValueError, match="expected an object"):
        Metadata.from_json("[1]")


def test_several_classes_are_read_under_the_old_name_too():
    several = Metadata(("a",), multi_label=True)
    assert Metadata.from_json(several.to_json()) == several
    assert Metadata.from_json('{"class_names": ["a"], "labels": "multi"}') == several


def test_what_a_file_does_not_say_comes_from_elsewhere():
    known = Metadata(image_shape=(8, 8, 1))
    assert known.filled_from(FACTS) == Metadata(FACTS.class_names, (8, 8, 1), "pad")


def test_a_saved_model_of_an_earlier_version_has_class_names_alone(tmp_path):
    assert metadata.read_saved_model(tmp_path) == Metadata()
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "class_names.txt").write_text("cat\ndog\n")
    assert metadata.read_saved_model(tmp_path) == Metadata(("cat", "dog"))
    for name, text in metadata.assets(FACTS).items():
        (tmp_path / "assets" / name).write_text(text, encoding="utf-8")
    assert metadata.read_saved_model(tmp_path) == FACTS


def test_metadata_lie_behind_a_litert_model(tmp_path):
    model = tmp_path / "model.tflite"
    model.write_bytes(b"\x1c\x00\x00\x00TFL3 and so on")
    assert metadata.read_litert(model) == Metadata()
    metadata.pack_into_litert(model, FACTS)
    assert model.read_bytes().startswith(b"\x1c\x00\x00\x00TFL3 and so on")
    assert metadata.read_litert(model) == FACTS
    with zipfile.ZipFile(model) as packed:  # where Android's and MediaPipe's tools look
        assert packed.read("labels.txt").decode().splitlines() == list(FACTS.class_names)


def test_labels_of_other_tools_are_class_names(tmp_path):
    model = tmp_path / "model.tflite"
    model.write_bytes(b"\x1c\x00\x00\x00TFL3")
    with zipfile.ZipFile(model, "a") as packed:
        packed.writestr("labelmap.txt", "cat\ndog\n")
    assert metadata.read_litert(model) == Metadata(("cat", "dog"))


def test_a_zip_that_cannot_be_read_behind_a_model_is_of_another_origin(tmp_path, spoil_zip):
    model = tmp_path / "model.tflite"
    model.write_bytes(b"\x1c\x00\x00\x00TFL3")
    with zipfile.ZipFile(model, "a", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(metadata.ASSET, FACTS.to_json())
    assert metadata.read_litert(model) == FACTS
    spoil_zip(model, metadata.ASSET)
    assert metadata.read_litert(model) == Metadata()


def test_onnx_properties():
    assert metadata.read_onnx({}) == Metadata()
    properties = metadata.for_onnx(FACTS)
    assert metadata.read_onnx(properties) == FACTS
    assert all(isinstance(value, str) for value in properties.values())
