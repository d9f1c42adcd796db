import os

import numpy as np
import pytest
import tensorflow as tf

from kd_keras import data


def put(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tf.io.encode_png(image).numpy())


@pytest.fixture
def pets(tmp_path, images_of):
    """10 cats and 10 dogs of 8x8, a folder each."""
    for n, image in enumerate(images_of(20)):
        put(tmp_path / "pets" / ("cat", "dog")[n % 2] / f"{n:02}.png", image)
    return tmp_path / "pets"


@pytest.fixture
def load(tmp_path):
    """load(path) from a cache of its own; after an error nothing may be left in it."""
    cache = tmp_path / "cache"
    yield lambda path, **options: data.load(f"folder:{path}", cache_dir=cache, **options)
    assert not list(cache.glob(".*"))


def in_any_order(images):
    return sorted(image.tobytes() for image in images)


def test_a_folder_a_class(pets, load, images_of):
    dataset = load(pets)
    assert dataset.summary() == "18 train images in 2 classes, 2 validation images, 8x8x3"
    assert dataset.class_names == ("cat", "dog")
    assert in_any_order(dataset.train.images) == in_any_order(images_of(20))
    assert sorted(dataset.validation.labels) == [0, 1]
    assert (dataset.augment.crop_padding, dataset.augment.flip) == (1, True)


def test_labels_are_those_of_the_folders(pets, load):
    dataset = load(pets)
    cats = {tf.io.decode_png(p.read_bytes()).numpy().tobytes() for p in (pets / "cat").iterdir()}
    for image, label in zip(
        dataset.train.images_at(slice(None)), dataset.train.labels, strict=True
    ):
        assert (image.tobytes() in cats) == (label == 0)


def test_val_fraction_is_the_share_held_out_and_needs_no_new_store(pets, load, tmp_path):
    assert len(load(pets, val_fraction=0.3).validation) == 6
    assert len(load(pets, val_fraction=0.5).validation) == 10
    assert len(list((tmp_path / "cache").iterdir())) == 1


@pytest.mark.parametrize("name", ["val", "validation"])
def test_train_and_val_folders(tmp_path, load, images_of, name):
    for part, count in [("train", 6), (name, 4), ("test", 2)]:
        for n, image in enumerate(images_of(count, seed=count)):
            put(tmp_path / "own" / part / ("cat", "dog")[n % 2] / f"{n}.png", image)
    dataset = load(tmp_path / "own")
    assert in_any_order(dataset.train.images) == in_any_order(images_of(6, seed=6))
    assert in_any_order(dataset.validation.images) == in_any_order(images_of(4, seed=4))
    with pytest.raises(ValueError, match=r"val_fraction is 0\.1, but .* has a validation part"):
        load(tmp_path / "own", val_fraction=0.1)


def test_images_of_any_size_need_an_image_size(pets, load, images_of):
    put(pets / "dog" / "large.png", images_of(1, side=12)[0])
    with pytest.raises(ValueError, match=r"\.png is \d+x\d+, but .* Give --image-size"):
        load(pets)
    assert load(pets, image_size=6).image_shape == (6, 6, 3)


def test_an_image_that_does_not_decode_is_named_as_the_user_knows_it(pets, load):
    torn = pets / "dog" / "01.png"
    torn.write_bytes(torn.read_bytes()[:50])
    with pytest.raises(ValueError, match=rf"^{torn} does not decode"):
        load(pets)


def test_an_empty_class_folder_is_refused(pets, load):
    (pets / "eel").mkdir()
    (pets / "eel" / "notes.txt").touch()
    with pytest.raises(ValueError, match=r"pets/eel holds no image \(\.jpg, \.jpeg, \.png\)"):
        load(pets)


def test_a_class_only_in_val_is_refused(tmp_path, load, images_of):
    for place in ("train/cat", "train/dog", "val/cat", "val/eel"):
        put(tmp_path / "own" / place / "1.png", images_of(1)[0])
    with pytest.raises(ValueError, match=r"val/eel is of a class that .*train does not have"):
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
        with pytest.raises(PermissionError, match="may not be read; expected one folder"):
            load(pets)
    finally:
        os.seteuid(user)
        pets.chmod(0o700)


def test_a_new_image_makes_the_store_again(pets, load, images_of, caplog):
    first = load(pets)
    put(pets / "cat" / "new.png", images_of(1, seed=5)[0])
    second = load(pets)
    assert len(second.train.images) == len(first.train.images) + 1
    assert "changed since they were prepared" in caplog.text
    np.testing.assert_array_equal(load(pets).train.images, second.train.images)
