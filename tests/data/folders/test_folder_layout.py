"""Trees of files as people have them, and the splits and classes that are read from them."""

import numpy as np
import pytest

FLAT = "expected one folder of images a class, or train/ and val/ folders"
TREES = {
    # name: (files, classes, images of train, validation and test)
    "a folder a class": (["cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png"], "cat dog", (2, 2)),
    "splits": (
        ["train/cat/1.png", "train/dog/1.png", "val/cat/1.png", "test/dog/1.png"],
        "cat dog",
        (2, 1, 1),
    ),
    "splits in mixed case": (
        ["TRAIN/cat/1.png", "TRAIN/dog/1.png", "Val/cat/1.png", "TEST/dog/1.png"],
        "cat dog",
        (2, 1, 1),
    ),
    "other names of splits": (
        ["training/cat/1.png", "training/dog/1.png", "Valid/cat/1.png", "testing/dog/1.png"],
        "cat dog",
        (2, 1, 1),
    ),
    "of Jupyter": (
        [
            *("train/cat/1.png", "train/dog/1.png", "val/cat/1.png"),
            *(".ipynb_checkpoints/1.png", "train/.ipynb_checkpoints/1.png"),
            *("train/cat/.ipynb_checkpoints/1-checkpoint.png", "val/.ipynb_checkpoints/1.png"),
        ],
        "cat dog",
        (2, 1),
    ),
    "of macOS": (
        [
            *(".DS_Store", "train/.DS_Store", "train/cat/.DS_Store", "train/cat/._1.png"),
            *("train/cat/1.png", "train/dog/1.png", "val/cat/1.png", "val/._cat"),
            *("__MACOSX/train/cat/._1.png", "._train"),
        ],
        "cat dog",
        (2, 1),
    ),
    "of Windows": (
        [
            *("Thumbs.db", "train/desktop.ini", "train/cat/Thumbs.db", "val/dog/Thumbs.db"),
            *("train/cat/1.PNG", "train/dog/1.png", "val/dog/1.png"),
            "System Volume Information/IndexerVolumeGuid",
        ],
        "cat dog",
        (2, 1),
    ),
    "folders within classes": (
        ["train/cat/day/1.png", "train/cat/night/1.png", "train/dog/1.png", "val/dog/a/1.png"],
        "cat dog",
        (3, 1),
    ),
    "a class named as a split": (
        ["train/1.png", "train/2.png", "ship/1.png"],
        "ship train",
        (2, 1),
    ),
    "no validation images of a class": (
        ["train/cat/1.png", "train/dog/1.png", "val/dog/1.png"],
        "cat dog",
        (2, 1),
    ),
}
REFUSED = {
    # name: (files, what the message says)
    "images in train and val": (
        ["train/1.png", "train/2.png", "val/1.png"],
        rf"no class folders in train/ and val/; {FLAT}.*Put the images of each class into a fol",
    ),
    "images in train, test and val": (
        ["train/1.png", "test/1.png", "val/1.png"],
        rf"no class folders in test/, train/ and val/; {FLAT}",
    ),
    "images in splits in mixed case": (
        ["Training/1.png", "Validation/1.png", "TEST/1.png"],
        rf"no class folders in TEST/, Training/ and Validation/; {FLAT}",
    ),
    "images in splits, beside Jupyter's and macOS's files": (
        ["train/1.png", "train/.ipynb_checkpoints/1.png", "val/1.png", ".DS_Store"],
        r"no class folders in train/ and val/;",
    ),
    "images in train alone": (["train/1.png", "train/2.png"], r"no class folders in train/;"),
    "images in train, classes in val": (
        ["train/1.png", "val/cat/1.png", "val/dog/1.png"],
        r"no class folders in train/;",
    ),
    "images in val and test": (["val/1.png", "test/1.png"], r"holds test, val, but no train/;"),
    "a CSV file of the classes": (
        ["train/1.png", "val/1.png", "train/labels.csv", "val/labels.csv"],
        r"train/ and val/; .* If the CSV file has the images' classes, give --label-mode multi",
    ),
    "splits within train": (
        ["train/train/cat/1.png", "train/train/dog/1.png", "train/val/cat/1.png"],
        rf"own/train holds train, val, names of splits; {FLAT}.* Give .*own/train if",
    ),
    "a folder around all": (
        ["pets/cat/1.png", "pets/dog/1.png", ".DS_Store"],
        r"one class folder, pets; expected two or more\. If .*own/pets holds the classes, give th",
    ),
    "a folder around splits": (
        ["pets/train/cat/1.png", "pets/train/dog/1.png", "pets/val/cat/1.png"],
        r"one class folder, pets; expected two or more\. If .*own/pets holds the classes, give th",
    ),
    "an empty class folder": (
        ["train/cat/1.png", "train/dog/1.png", "train/eel/", "val/fox/"],
        r"(?s)val/fox; expected only classes of train: cat, dog, eel.*without an image: .*/eel;",
    ),
    "a class of Windows files alone": (
        ["cat/1.png", "dog/1.png", "eel/Thumbs.db"],
        r"1 class folder without an image: .*own/eel",
    ),
    "images without folders": (["1.png", "2.png"], r"holds 2 files and no folders; expected one"),
}


@pytest.fixture
def make(put, tmp_path):
    """make(names) writes images and other files by their names, and returns the folder."""

    def write(names):
        for name in names:
            path = tmp_path / "own" / name
            if name.endswith("/"):
                path.mkdir(parents=True)
            elif name.lower().endswith(".png") and not path.name.startswith("._"):
                put(path, np.full((4, 4, 3), 7, np.uint8))
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"\0\5\x16\7of a system")
        return tmp_path / "own"

    return write


@pytest.mark.parametrize("tree", TREES)
def test_a_tree_has_these_classes_and_images(make, load, tree):
    names, classes, counts = TREES[tree]
    dataset = load(make(names))
    splits = (dataset.train, dataset.validation, dataset.test)
    assert dataset.class_names == tuple(classes.split())
    assert tuple(len(split) for split in splits if split is not None) == counts


@pytest.mark.parametrize("tree", REFUSED)
def test_a_tree_without_classes_is_refused_with_what_is_expected(make, load, tree):
    names, message = REFUSED[tree]
    with pytest.raises(ValueError, match=message):
        load(make(names))


def test_splits_within_class_folders_are_not_read_as_such_and_it_is_said(make, load):
    names = [
        f"{c}/{split}/{n}.png" for c in ("cat", "dog") for split in ("train", "val") for n in "12"
    ]
    dataset = load(make(names))
    assert len(dataset.train) + len(dataset.validation) == len(names)
    assert dataset.notes[0].startswith("train/ and val/ within class folders are not read as spl")
