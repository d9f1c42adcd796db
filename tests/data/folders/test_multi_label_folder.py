"""Folders with a CSV of labels: both layouts, splits, and a refusal for each fault."""

import csv

import numpy as np
import pytest

from kd_keras import data
from kd_keras.data import holdout, notes, pipeline
from kd_keras.data.stores.store import UNKNOWN

LISTS = "file,labels\na.png,cat dog\nb.png,\nc.png,dog\nd.png,bird\n"
COLUMNS = "filename, bird, cat, dog\na.png, 0, 1, 1\nb.png, 0, 0, 0\nc.png, 0, 0, 1\nd.png, 1, 0, 0"
LABELS = {"a.png": [0, 1, 1], "b.png": [0, 0, 0], "c.png": [0, 0, 1], "d.png": [1, 0, 0]}


@pytest.fixture
def make(put, tmp_path, images_of):
    """make(text, place="") writes a CSV and images a.png to d.png into the folder `own`."""

    def write(text, place="", *, seed=0, names=("a", "b", "c", "d"), table="labels.csv"):
        folder = tmp_path / "own" / place
        for name, image in zip(names, images_of(len(names), seed=seed), strict=True):
            put(folder / f"{name}.png", image)
        (folder / table).write_text(text, encoding="utf-8")
        return tmp_path / "own"

    return write


@pytest.fixture
def load_multi(load):
    return lambda path, **options: load(path, label_mode="multi", **options)


def labels_by_file(*splits):
    return {
        name.rpartition("/")[2]: row.tolist()
        for split in splits
        for name, row in zip(split.names(), split.labels, strict=True)
    }


@pytest.mark.parametrize(
    "text",
    [
        LISTS,
        LISTS.replace("cat dog", "cat;dog"),
        LISTS.replace("cat dog", "dog | cat"),
        LISTS.replace("cat dog", '"cat,dog"'),
        LISTS.replace(".png", ""),
        LISTS.replace("a.png", "A.PNG"),
        LISTS.replace("a.png", "A"),
        "\ufeff" + LISTS.replace("\n", "\r\n"),
        "\ufefffile;labels\r\na.png;cat dog\r\nb.png;\r\nc.png;dog\r\nd.png;bird\r\n",
        LISTS.replace(",", ";").replace("cat dog", "cat,dog"),
        LISTS.replace(",", ";").replace("cat dog", '"cat;dog"'),
        LISTS.replace(",", "\t"),
        COLUMNS,
        COLUMNS.replace(",", ";"),
        COLUMNS.replace("0", "0.0").replace("1", "1.0"),
        COLUMNS.replace("0", "FALSE").replace("1", "True"),
        COLUMNS.replace("filename", '"file; name"'),
    ],
)
def test_both_layouts_give_the_same_labels(make, load_multi, text):
    dataset = load_multi(make(text), val_fraction=0.25)
    assert dataset.class_names == ("bird", "cat", "dog")
    assert labels_by_file(dataset.train, dataset.validation) == LABELS
    assert dataset.multi_label
    assert dataset.train.labels.dtype == np.int32
    assert "training images that show none of the classes: 1 of 4" in dataset.notes
    assert not any(notes.concerns(note, "test") for note in dataset.notes)


def test_a_name_that_fits_two_files_is_refused(make, put, load_multi, images_of, tmp_path):
    put(tmp_path / "own" / "e.png", images_of(1, seed=8)[0])
    put(tmp_path / "own" / "E.png", images_of(1, seed=9)[0])
    path = make(LISTS + "e.png,cat\nE.png,dog\n")
    dataset = load_multi(path)
    labels = labels_by_file(dataset.train, dataset.validation)
    assert (labels["e.png"], labels["E.png"]) == ([0, 1, 0], [0, 0, 1])
    with pytest.raises(ValueError, match=r"line 6: e\.PNG: there are E\.png, e\.png; expected"):
        load_multi(make(LISTS + "e.PNG,cat\nE.png,dog\n"))


def test_classes_that_differ_in_case_only_are_said(make, load_multi):
    dataset = load_multi(make(LISTS.replace("c.png,dog", "c.png,Dog")))
    assert "classes that differ in upper and lower case only: Dog and dog" in dataset.notes


def test_names_with_blanks_need_another_separator(make, load_multi):
    dataset = load_multi(make("f,l\na.png,red cat|dog\nb.png,red cat\nc.png,dog\nd.png,dog\n"))
    assert dataset.class_names == ("dog", "red cat")


def test_train_and_valid_folders_with_a_csv_each(make, load_multi):
    make(COLUMNS, "train", table="_classes.csv")
    swapped = "filename,dog,cat,bird\na.png,1,0,0\nb.png,0,1,0\n"
    path = make(swapped, "valid", seed=1, names=("a", "b"), table="_classes.csv")
    dataset = load_multi(path)
    assert labels_by_file(dataset.validation) == {"a.png": [0, 0, 1], "b.png": [0, 1, 0]}
    assert len(dataset.train) == 4


def test_a_csv_may_name_files_in_folders(make, put, load_multi, images_of, tmp_path):
    put(tmp_path / "own" / "more" / "e.png", images_of(1, seed=9)[0])
    dataset = load_multi(make(LISTS + "more\\e.png,cat\n"))
    assert labels_by_file(dataset.train, dataset.validation)["e.png"] == [0, 1, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LISTS + "e.png,cat\n", r"labels\.csv, line 6: e\.png: there is no such file; expected"),
        (LISTS + "a.png,cat dog\n", r"line 6: a\.png is in line 2 too, with the same classes"),
        (LISTS + "a.png,bird\n", r"line 6: a\.png is in line 2 too, with different classes"),
        (COLUMNS.replace("0, 1, 1", "0, 2, 1"), r"line 2: the class 'cat' has the value '2'; exp"),
        (COLUMNS.replace("0, 1, 1", "0, , 1"), r"line 2: the class 'cat' has the value ''; exp"),
        (COLUMNS.replace("bird, cat", "cat, cat"), r"line 1: two columns are called 'cat'"),
        (COLUMNS.replace("bird, ", " , "), r"line 1: column 2 has no name"),
        (COLUMNS.replace("b.png, 0, ", "b.png, "), r"line 3: it has 3 cells; expected 4"),
        (LISTS.replace("c.png", ""), r"line 4: it names no file; expected one"),
        ("file,cat\na.png,0\nb.png,1\nc.png,0\nd.png,1\n", "line 2: the only column beside"),
        ("file labels\na.png cat\n", r"line 1: the heading has one column, 'file labels'"),
        ("", r"labels\.csv is empty; expected a heading and a row for each image"),
        ("file,labels\n", r"labels\.csv has a heading in line 1 and no rows"),
        ("file,labels\na.png,cat\n", r"no row for 3 images: .*b\.png, .*c\.png, .*d\.png; exp"),
        (LISTS.replace("bird", "dog").replace("cat dog", "dog"), "has the class dog; expected two"),
        ('file,labels\n"a.png,cat\n', r"labels\.csv cannot be read as a CSV file"),
    ],
)
def test_refusals_name_the_file_and_the_line(make, load_multi, text, message):
    with pytest.raises(ValueError, match=message):
        load_multi(make(text))


def test_unknown_classes_in_validation_are_refused(make, load_multi):
    make(LISTS, "train")
    path = make("file,labels\na.png,cat\nb.png,fox\n", "val", seed=1, names=("a", "b"))
    with pytest.raises(ValueError, match=r"val/labels\.csv, line 3: 1 class that train .*: fox;"):
        load_multi(path)


def test_validation_without_a_csv_is_refused_and_a_test_folder_without_one_is_said(
    make, load_multi, put, tmp_path, images_of
):
    path = make(LISTS, "train")
    put(path / "test" / "a.png", images_of(1, seed=3)[0])
    dataset = load_multi(path)
    assert any("test (without a CSV file)" in note for note in dataset.notes)
    put(path / "val" / "a.png", images_of(1, seed=4)[0])
    with pytest.raises(ValueError, match=r"val has no CSV file, and .*train has one"):
        load_multi(path)


def test_a_table_that_cannot_be_read_is_the_only_fault(make, load_multi):
    with pytest.raises(ValueError, match="the heading has one column") as error:
        load_multi(make("file labels\na.png cat\n"))
    assert "has no row" not in str(error.value)


def test_two_csv_files_or_none_are_refused(make, load_multi, pets):
    path = make(LISTS)
    (path / "more.csv").write_text("file,labels\n")
    with pytest.raises(ValueError, match=r"has 2 CSV files: labels\.csv, more\.csv; expected one"):
        load_multi(path)
    with pytest.raises(ValueError, match="has no CSV file; expected images and one CSV file"):
        load_multi(pets)


def test_a_row_of_a_file_that_is_no_image_is_refused(make, load_multi):
    path = make(LISTS + "note.txt,cat\n")
    (path / "note.txt").write_text("no image")
    with pytest.raises(ValueError, match=r"line 6: note\.txt is not an image; expected one"):
        load_multi(path)


def test_datasets_of_one_class_an_image_are_refused():
    with pytest.raises(ValueError, match="digits has one class for each image; expected folder"):
        data.load("digits", label_mode="multi")


def test_labels_per_class_is_refused(make, load_multi):
    with pytest.raises(ValueError, match="an image may have several classes, so that no number"):
        load_multi(make(LISTS), labels_per_class=1)


def test_unlabelled_images_join_with_rows_of_minus_one(make, load_multi, pets):
    dataset = load_multi(make(LISTS), unlabelled=[f"folder:{pets}"])
    assert dataset.train.labels.shape == (23, 3)
    assert dataset.train.known.sum() == 3
    assert (dataset.train.labels[~dataset.train.known] == UNKNOWN).all()


def test_batches_and_mixed_labels(make, load_multi):
    dataset = load_multi(make(LISTS), mixup=1.0)
    plan = pipeline.BatchPlan(
        dataset.train, batch_size=3, seed=0, policy=dataset.augment, num_classes=3
    )
    _, ids, labels, shares = plan.batch(0)
    own = dict(zip(dataset.train.ids, dataset.train.labels, strict=True))
    views = plan._views
    partners, _ = views._partners_of(ids, 0)
    expected = [
        share * own[i] + (1 - share) * own[p]
        for share, i, p in zip(shares, ids, partners, strict=True)
    ]
    np.testing.assert_allclose(labels, expected, atol=1e-6)
    assert next(iter(plan.dataset(0, 1)))[1].shape == (3, 3)
    assert next(iter(pipeline.evaluation(dataset.train, batch_size=3)))[1].shape == (3, 3)


def test_the_hold_out_gives_each_class_its_share():
    rng = np.random.default_rng(0)
    labels = (rng.random((1000, 4)) < [0.5, 0.2, 0.05, 0.01]).astype(np.int32)
    stay, held_out = holdout.multi_label_split(labels, 0.1)
    assert sorted([*stay, *held_out]) == list(range(1000))
    shares = labels[held_out].sum(axis=0) / labels.sum(axis=0)
    np.testing.assert_allclose(shares, 0.1, atol=0.05)
    assert 90 <= len(held_out) <= 130
    again = holdout.multi_label_split(labels, 0.1)
    np.testing.assert_array_equal(held_out, again[1])
    assert len(holdout.multi_label_split(np.eye(3, dtype=np.int32), 0.1)[1]) == 1


def test_a_class_list_written_by_the_csv_module_is_read(make, load_multi, tmp_path):
    path = make(LISTS)
    with (path / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [["image", "tags"], ["a.png", "x,y"], ["b.png", "x"], ["c.png", ""], ["d.png", "y"]]
        )
    assert load_multi(path).class_names == ("x", "y")


def test_classes_that_a_split_lacks_are_said_with_the_split(make, load_multi):
    make(LISTS, "train")
    make("file,labels\na.png,cat\nb.png,dog\nc.png,\nd.png,\n", "val", seed=1)
    (note,) = [note for note in load_multi(make(LISTS, "test", seed=2)).notes if "bird" in note]
    assert note == "validation has no image of 1 class: bird"
    assert notes.splits_of(note) == ("validation",)
