import pytest

from kd_keras import data
from kd_keras.data.folders import class_names


def test_those_of_a_folder_are_read_without_its_images(pets, tmp_path, monkeypatch):
    monkeypatch.setenv("KD_KERAS_CACHE", str(tmp_path / "cache"))
    assert class_names.read_class_names(f"folder:{pets}") == ("cat", "dog")
    assert not (tmp_path / "cache").exists()


def test_those_of_another_dataset(tmp_path, monkeypatch):
    monkeypatch.setenv("KD_KERAS_CACHE", str(tmp_path / "cache"))
    assert class_names.read_class_names("digits") == data.load("digits").class_names


def test_a_folder_without_classes_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no folders; expected one folder of images a class"):
        class_names.read_class_names(f"folder:{tmp_path}")


def test_splits_without_class_folders_are_not_read_as_classes(tmp_path):
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
    with pytest.raises(ValueError, match=r"no class folders in train/ and val/; expected one"):
        class_names.read_class_names(f"folder:{tmp_path}")
