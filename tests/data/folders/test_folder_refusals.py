"""Folders that are refused, and how the message names what is wrong."""

import os

import pytest


def test_an_image_that_does_not_decode_is_named_as_the_user_knows_it(pets, load):
    torn = pets / "dog" / "01.png"
    torn.write_bytes(torn.read_bytes()[:50])
    with pytest.raises(ValueError, match=rf"^{torn} does not decode"):
        load(pets)


def test_all_empty_class_folders_are_named_at_once(pets, load):
    for name in ("eel", "fox", "gnu"):
        (pets / name).mkdir()
    (pets / "eel" / "notes.txt").touch()
    message = (
        rf"^3 class folders without an image: {pets}/eel, {pets}/fox, {pets}/gnu; expected one"
    )
    with pytest.raises(ValueError, match=message):
        load(pets)


def test_all_faults_come_at_once(pets, load, tmp_path):
    (pets / "eel").mkdir()
    (pets / "cat" / "text.jpg").write_text("no picture")
    (pets / "cat" / "empty.png").touch()
    (pets / "dog" / "gone.png").symlink_to(tmp_path / "nowhere")
    torn = pets / "dog" / "01.png"
    torn.write_bytes(torn.read_bytes()[:50])
    with pytest.raises(ValueError, match=rf"^{pets} has faults \(5\):\n") as error:
        load(pets)
    assert [line.split(" ")[0] for line in str(error.value).splitlines()[2:]] == [
        f"{pets}/cat/empty.png",
        f"{pets}/cat/text.jpg",
        f"{pets}/dog/gone.png",
        f"{pets}/dog/01.png",
    ]


def test_of_many_torn_images_ten_are_named_and_the_rest_are_counted(pets, load):
    files = sorted(pets.rglob("*.png"))
    for torn in files[:13]:
        torn.write_bytes(torn.read_bytes()[:50])
    with pytest.raises(ValueError, match=r"^Images do not decode \(13\):\n") as error:
        load(pets)
    lines = str(error.value).splitlines()
    assert lines[1].startswith(f"{files[0]} does not decode as an image (")
    assert lines[11:] == ["and 3 more", "Replace it or take it out."]


def test_torn_images_of_all_splits_are_named_together(put, tmp_path, load, images_of):
    for part in ("train", "val"):
        for name in ("cat", "dog"):
            put(tmp_path / "own" / part / name / "0.png", images_of(1)[0])
        torn = tmp_path / "own" / part / "cat" / "0.png"
        torn.write_bytes(torn.read_bytes()[:50])
    with pytest.raises(ValueError, match=r"(?s)\(2\):.*train/cat/0\.png .*val/cat/0\.png "):
        load(tmp_path / "own")


@pytest.mark.parametrize("folder", ["Größe", "写真", "with space", "e\u0301te\u0301"])
def test_a_named_file_exists_whatever_its_letters(put, tmp_path, load, images_of, folder):
    for place in ("äöü", "ねこ"):
        put(tmp_path / folder / place / "犬 1.png", images_of(1)[0])
        put(tmp_path / folder / place / "é.png", images_of(1)[0])
    torn = tmp_path / folder / "ねこ" / "犬 1.png"
    torn.write_bytes(torn.read_bytes()[:50])
    with pytest.raises(ValueError) as error:
        load(tmp_path / folder)
    name = str(error.value).partition(" does not decode")[0]
    assert name == str(torn)


def test_one_class_and_splits_without_train_are_refused(put, tmp_path, load, images_of):
    put(tmp_path / "one" / "pets" / "cat" / "0.png", images_of(1)[0])
    message = (
        r"one holds one class folder, pets; expected two or more\. If .*one/pets holds the class"
    )
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "one")
    for place in ("val/cat", "test/cat"):
        put(tmp_path / "held" / place / "0.png", images_of(1)[0])
    with pytest.raises(ValueError, match=r"held holds test, val, but no train/; expected one"):
        load(tmp_path / "held")
    for place in ("val", "Train"):
        put(tmp_path / "tables" / place / "0.png", images_of(1)[0])
        (tmp_path / "tables" / place / "labels.csv").write_text("file,labels\n0.png,cat")
    message = r"has no class folders in Train/ and val/; expected .* give --label-mode multi"
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "tables")
    put(tmp_path / "flat" / "0.png", images_of(1)[0])
    with pytest.raises(ValueError, match=r"flat holds 1 file and no folders; expected one folder"):
        load(tmp_path / "flat")


def test_all_classes_only_in_val_are_refused(put, tmp_path, load, images_of):
    for place in ("train/cat", "train/dog", "val/cat", "val/eel", "val/fox"):
        put(tmp_path / "own" / place / "1.png", images_of(1)[0])
    message = (
        r"2 folders of classes that train does not have: .*/val/eel, .*/val/fox; .*: cat, dog\."
    )
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "own")


def test_a_missing_folder_a_file_and_a_folder_of_none_are_refused(tmp_path, load):
    with pytest.raises(FileNotFoundError, match=r"none does not exist; expected one folder"):
        load(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(FileNotFoundError, match=r"file is a file; expected a folder with one"):
        load(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty holds no folders; expected one folder"):
        load(tmp_path / "empty")


def test_a_folder_that_may_not_be_read_is_refused(pets, load):
    pets.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root may read everything
    try:
        with pytest.raises(PermissionError, match="is not readable; expected one folder"):
            load(pets)
    finally:
        os.seteuid(user)
        pets.chmod(0o700)


def test_a_folder_without_any_image_is_reported_as_such(load, tmp_path):
    for name in ("api", "how-to"):
        (tmp_path / "docs" / name).mkdir(parents=True)
        (tmp_path / "docs" / name / "page.md").write_text("text")
    with pytest.raises(ValueError, match=r"docs holds no images; expected .*Check the path"):
        load(tmp_path / "docs")
