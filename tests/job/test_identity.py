import os
import shutil

import keras

from kd_keras.job import identity
from kd_keras.job.recipe import recipe_files


def saved(path):
    layers = [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
    keras.Sequential(layers).save(path)


def test_a_files_identity_is_its_content(tmp_path):
    saved(tmp_path / "a.keras")
    before = identity.identity(str(tmp_path / "a.keras"))
    shutil.copyfile(tmp_path / "a.keras", tmp_path / "copy.keras")
    os.utime(tmp_path / "copy.keras", (0, 0))
    assert before == identity.identity(str(tmp_path / "copy.keras"))
    saved(tmp_path / "a.keras")
    assert identity.identity(str(tmp_path / "a.keras")) != before
    assert identity.identity("resnet20") == "resnet20"


def test_a_folder_with_the_name_of_a_model_is_not_taken_for_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resnet20").mkdir()
    assert not identity.is_file("resnet20")
    assert identity.is_file("resnet20.keras")


def test_files_that_settings_name_are_hashed(tmp_path):
    names, distances = tmp_path / "names.txt", tmp_path / "distances.npy"
    names.write_text("a\nb")
    distances.write_bytes(b"1")
    recipe = recipe_files.resolve(
        None,
        {
            "teacher_class_names": str(names),
            "method": ["kd", f"wkd:class_distances_file={distances}"],
        },
    )
    before = identity.identities(recipe)
    names.write_text("b\na")
    assert identity.identities(recipe)["teacher_class_names"] != before["teacher_class_names"]
    distances.write_bytes(b"2")
    assert identity.identities(recipe)["method_files"] != before["method_files"]
