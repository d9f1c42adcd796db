import shutil

import pytest

from kd_keras.data.tiny_imagenet import archive, layout


def read(folder):
    with archive.open_archive(folder) as files:
        return layout.read(files)


def test_what_is_there_is_listed_with_labels_by_sorted_wordnet_id(dummy_folder):
    official = read(dummy_folder)
    assert official.class_names == ["goldfish", "tabby"]  # n01443537, n02123045
    assert official.splits == {
        "train": [
            ("train/n01443537/images/n01443537_0.JPEG", 0),
            ("train/n01443537/images/n01443537_1.JPEG", 0),
            ("train/n02123045/images/n02123045_0.JPEG", 1),
            ("train/n02123045/images/n02123045_1.JPEG", 1),
        ],
        "validation": [("val/images/val_0.JPEG", 1), ("val/images/val_1.JPEG", 0)],
        "test": [("test/images/test_0.JPEG", -1)],
    }


def test_a_subset_is_taken_as_it_is(dummy_folder):
    shutil.rmtree(dummy_folder / "test")
    shutil.rmtree(dummy_folder / "val")
    (dummy_folder / "train/n02123045/images/n02123045_1.JPEG").unlink()
    assert {name: len(files) for name, files in read(dummy_folder).splits.items()} == {"train": 3}


def test_classes_that_share_a_word_keep_their_ids(dummy_folder):
    (dummy_folder / "words.txt").write_text("n01443537\tcrane, bird\nn02123045\tcrane\n")
    assert read(dummy_folder).class_names == ["crane (n01443537)", "crane (n02123045)"]


def test_an_annotation_of_an_unknown_class_is_named(dummy_folder):
    (dummy_folder / "val/val_annotations.txt").write_text("val_0.JPEG\tn0000\t0\t0\t1\t1\n")
    with pytest.raises(ValueError, match=r"Line 1 of val/val_annotations\.txt .* class 'n0000'"):
        read(dummy_folder)


def test_an_annotation_of_a_missing_file_is_named(dummy_folder):
    (dummy_folder / "val/images/val_1.JPEG").unlink()
    with pytest.raises(ValueError, match=r"Line 2 of .* names 'val_1\.JPEG', which is not in val"):
        read(dummy_folder)


def test_an_image_without_annotation_is_named(dummy_folder):
    (dummy_folder / "val/val_annotations.txt").write_text("val_1.JPEG\tn01443537\t0\t0\t1\t1\n")
    with pytest.raises(ValueError, match=r"val/images/val_0\.JPEG in .* has no line in val/val_"):
        read(dummy_folder)


@pytest.mark.parametrize("annotations", ["kept", "gone"])
@pytest.mark.parametrize("below", ["", "images/"])
def test_a_val_sorted_into_class_folders_is_validation(dummy_folder, annotations, below):
    for file, wnid in [("val_0.JPEG", "n02123045"), ("val_1.JPEG", "n01443537")]:
        (dummy_folder / "val" / wnid / below).mkdir(parents=True)
        (dummy_folder / "val/images" / file).rename(dummy_folder / "val" / wnid / below / file)
    (dummy_folder / "val/images").rmdir()
    if annotations == "gone":
        (dummy_folder / "val/val_annotations.txt").unlink()
    assert read(dummy_folder).splits["validation"] == [
        (f"val/n01443537/{below}val_1.JPEG", 0),
        (f"val/n02123045/{below}val_0.JPEG", 1),
    ]


def test_a_val_that_a_script_copied_counts_each_image_once(dummy_folder):
    for file, wnid in [("val_0.JPEG", "n02123045"), ("val_1.JPEG", "n01443537")]:
        (dummy_folder / "val" / wnid).mkdir()
        shutil.copy(dummy_folder / "val/images" / file, dummy_folder / "val" / wnid / file)
    official = [("val/images/val_0.JPEG", 1), ("val/images/val_1.JPEG", 0)]
    assert read(dummy_folder).splits["validation"] == official
    (dummy_folder / "val/val_annotations.txt").unlink()
    folders = [("val/n01443537/val_1.JPEG", 0), ("val/n02123045/val_0.JPEG", 1)]
    assert read(dummy_folder).splits["validation"] == folders


def test_a_val_that_a_script_sorted_in_part_is_whole(dummy_folder):
    (dummy_folder / "val/n02123045").mkdir()
    (dummy_folder / "val/images/val_0.JPEG").rename(dummy_folder / "val/n02123045/val_0.JPEG")
    sorted_in_part = [("val/n02123045/val_0.JPEG", 1), ("val/images/val_1.JPEG", 0)]
    assert read(dummy_folder).splits["validation"] == sorted_in_part
    (dummy_folder / "val/val_annotations.txt").unlink()
    with pytest.raises(ValueError, match=r"val_1\.JPEG in .* lies in no class folder"):
        read(dummy_folder)


def test_a_val_folder_of_an_unknown_class_is_named(dummy_folder):
    (dummy_folder / "val/n0000").mkdir()
    (dummy_folder / "val/images/val_0.JPEG").rename(dummy_folder / "val/n0000/val_0.JPEG")
    with pytest.raises(ValueError, match=r"val/n0000/val_0\.JPEG in .* not in wnids\.txt"):
        read(dummy_folder)


def test_resource_forks_are_no_images(dummy_folder):
    (dummy_folder / "train/n02123045/images/._n02123045_0.JPEG").touch()
    assert len(read(dummy_folder).splits["train"]) == 4


def test_an_image_with_two_annotations_is_refused(dummy_folder):
    annotations = dummy_folder / "val/val_annotations.txt"
    annotations.write_text(2 * annotations.read_text())
    with pytest.raises(ValueError, match=r"Line 3 .* names 'val_0\.JPEG', as an earlier line does"):
        read(dummy_folder)


def test_an_empty_class_folder_is_named(dummy_folder):
    for file in (dummy_folder / "train/n02123045/images").iterdir():
        file.unlink()
    with pytest.raises(
        ValueError, match=r"train/n02123045/images/ in .* has no images .*1 of 2 classes"
    ):
        read(dummy_folder)


def test_a_class_folder_that_is_not_listed_is_named(dummy_folder):
    (dummy_folder / "wnids.txt").write_text("n01443537\n")
    with pytest.raises(ValueError, match=r"n02123045_0\.JPEG in .* not in wnids\.txt"):
        read(dummy_folder)


def test_unlabelled_validation_images_are_refused(dummy_folder):
    (dummy_folder / "val/val_annotations.txt").unlink()
    with pytest.raises(ValueError, match=r"val_0\.JPEG in .* has no line in val/val_annotations"):
        read(dummy_folder)


@pytest.mark.parametrize("name", ["wnids.txt", "words.txt"])
def test_a_missing_list_is_named(dummy_folder, name):
    (dummy_folder / name).unlink()
    with pytest.raises(ValueError, match=rf"has no {name}; expected the official layout"):
        read(dummy_folder)
