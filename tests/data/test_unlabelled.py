import dataclasses
import types

import numpy as np
import pytest
import tensorflow_datasets as tfds

from kd_keras import data
from kd_keras.data import unlabelled
from kd_keras.data.pipeline import BatchPlan
from kd_keras.data.stores import make_store


@pytest.fixture
def pets(tmp_path, images_of, put):
    """A folder of 6 cats and 6 dogs of 8x8 pixels, and 4 images of no class in folders of depth."""
    for name, shift in (("cat", 0), ("dog", 100)):
        for number, image in enumerate(images_of(6, seed=shift)):
            put(tmp_path / "pets" / name / f"{number}.png", image)
    more = images_of(4, seed=7)
    for place, image in zip(("a", "x/b", "x/c", "x/y/d"), more, strict=True):
        put(tmp_path / "more" / f"{place}.png", image)
    (tmp_path / "more" / "x" / "notes.txt").write_text("no image")
    return tmp_path


def load(pets, *names, **options):
    notes = []
    loaded = data.load(
        f"folder:{pets / 'pets'}",
        unlabelled=names,
        val_fraction=0.3,
        cache_dir=pets / "cache",
        tell=notes.append,
        **options,
    )
    return loaded, notes


def test_images_in_folders_of_any_depth_join_train_with_unknown_labels(pets, images_of):
    plain, _ = load(pets)
    joined, notes = load(pets, f"folder:{pets / 'more'}")
    count = len(plain.train)
    np.testing.assert_array_equal(joined.train.labels[:count], plain.train.labels)
    np.testing.assert_array_equal(joined.train.labels[count:], [-1] * 4)
    np.testing.assert_array_equal(joined.train.ids[:count], plain.train.ids)
    assert joined.train.ids[count:].tolist() == [12, 13, 14, 15]  # after all rows of its file
    np.testing.assert_array_equal(joined.train.images_at(slice(count, None)), images_of(4, seed=7))
    np.testing.assert_array_equal(
        joined.train.images_at(slice(0, count)), plain.train.images_at(slice(0, count))
    )
    assert "4 images without labels from folder:" in notes[-1]
    assert "skipped 1 file: .txt 1" in notes[-1]
    assert joined.fingerprint == plain.fingerprint
    assert joined.train.fingerprint.startswith(f"{plain.train.fingerprint}-")
    np.testing.assert_array_equal(joined.validation.ids, plain.validation.ids)
    np.testing.assert_array_equal(joined.train_with_all_labels.labels, plain.train.labels)


def test_views_of_the_labelled_images_do_not_change(pets):
    def by_id(loaded):
        plan = BatchPlan(loaded.train, batch_size=4, seed=1, policy=loaded.augment)
        views = {}
        for t in range(2 * plan.steps_per_epoch):
            images, ids, labels = plan.batch(t)
            epoch = t // plan.steps_per_epoch
            rows = zip(images, ids, labels, strict=True)
            views |= {(epoch, int(i)): (x.tobytes(), int(y)) for x, i, y in rows}
        return views

    plain, joined = by_id(load(pets)[0]), by_id(load(pets, f"folder:{pets / 'more'}")[0])
    shared = set(plain) & set(joined)
    assert len(shared) > 4
    assert all(plain[key] == joined[key] for key in shared)
    assert {label for (_, i), (_, label) in joined.items() if i >= 12} == {-1}


def test_labels_are_hidden_before_images_join(pets):
    joined, _ = load(pets, f"folder:{pets / 'more'}", labels_per_class=2)
    assert (len(joined.train), int(joined.train.known.sum())) == (12, 4)
    assert joined.train_with_all_labels.known.all()
    assert len(joined.train_with_all_labels) == 8


def test_grey_images_join_coloured_ones_and_the_other_way_round(pets, put, images_of, tmp_path):
    put(pets / "grey" / "one.png", images_of(1, channels=1)[0])
    joined, _ = load(pets, f"folder:{pets / 'grey'}")
    (image,) = joined.train.images_at(np.array([-1]))
    assert image.shape == (8, 8, 3)
    np.testing.assert_array_equal(image[..., 0], image[..., 2])
    digits = data.load(
        "digits",
        unlabelled=[f"folder:{pets / 'more'}"],
        cache_dir=tmp_path / "cache",
        tell=lambda note: None,
    )
    assert digits.train.images.shape[1:] == (8, 8, 1)


def test_images_of_another_size_are_resized_as_those_of_the_dataset(pets, put, images_of):
    put(pets / "large" / "one.png", images_of(1, side=16)[0])
    assert load(pets, f"folder:{pets / 'large'}")[0].train.images.shape == (13, 8, 8, 3)


def test_a_changed_folder_is_read_again(pets, put, images_of):
    name = f"folder:{pets / 'more'}"
    before = load(pets, name)[0].train
    put(pets / "more" / "new.png", images_of(1, seed=9)[0])
    after = load(pets, name)[0].train
    assert len(after) == len(before) + 1
    assert after.fingerprint != before.fingerprint


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("folder:{}/none", "none does not exist; expected a folder of images, also in folders"),
        ("folder:{}/more/a.png", r"a\.png is a file; expected a folder of images"),
        ("folder:{}/empty", "holds 1 file, and none is an image"),
        ("folder:{}/broken", r"broken\.png does not decode as an image"),
        ("{}/more", r"unlabelled is '.*more'; expected folder:PATH or tfds:NAME\. Give folder:"),
        ("imagenet", "unlabelled is 'imagenet'; expected folder:PATH or tfds:NAME"),
        ("folder:", "unlabelled is 'folder:'; expected folder:PATH"),
    ],
)
def test_what_holds_no_images_is_refused(pets, name, message):
    (pets / "empty").mkdir()
    (pets / "empty" / "notes.txt").write_text("none")
    (pets / "broken").mkdir()
    (pets / "broken" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n, and no more")
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load(pets, name.format(pets))


def test_a_missing_folder_is_told_before_the_dataset_is_prepared(pets, monkeypatch):
    monkeypatch.setattr(make_store, "ensure", lambda *arguments, **options: pytest.fail("prepared"))
    with pytest.raises(FileNotFoundError, match="none does not exist; expected a folder of images"):
        load(pets, f"folder:{pets}/none")


def test_images_that_are_used_already_are_refused(pets, put, images_of):
    pictures = f"folder:{pets / 'pets'}"
    message = r"--unlabelled folder:.*pets holds 12 of the images of folder:.*pets, such as .*png;"
    with pytest.raises(ValueError, match=message):
        load(pets, pictures)
    with pytest.raises(ValueError, match=r"cat holds 6 of .*; to hide labels of a dataset's own"):
        load(pets, f"folder:{pets / 'pets' / 'cat'}")
    more = f"folder:{pets / 'more'}"
    with pytest.raises(ValueError, match=r"more/x holds 3 of the images of folder:.*/more, such"):
        load(pets, more, f"folder:{pets / 'more' / 'x'}")
    assert len(load(pets, more, more)[0].train) == 8 + 4  # given twice, read once


def test_the_training_split_of_the_same_dataset_of_tfds_is_refused(pets):
    plain = dataclasses.replace(load(pets)[0], name="tfds:flowers")
    split = dataclasses.replace(plain.train, names_file=None)
    store = types.SimpleNamespace(splits={"train": split}, notes=("its split unlabelled",))
    unlabelled.require_others(plain, {"tfds:flowers": store})
    store.notes = ("its split train",)
    with pytest.raises(ValueError, match="tfds:flowers holds the training images of tfds:flowers"):
        unlabelled.require_others(plain, {"tfds:flowers": store})


class ManyShapes(tfds.core.GeneratorBasedBuilder):
    """Images of 6x6, most of them in a split without labels."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = tfds.features.FeaturesDict({"image": tfds.features.Image(shape=(6, 6, 3))})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(2), "unlabelled": self._generate_examples(5)}

    def _generate_examples(self, count):
        for n in range(count):
            yield n, {"image": np.full((6, 6, 3), 10 * n, np.uint8)}


def test_a_dataset_of_tfds_joins_with_its_unlabelled_split(pets, monkeypatch):
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(pets / "tfds"))
    joined, notes = load(pets, "tfds:many_shapes")
    assert (joined.train.labels < 0).sum() == 5
    assert joined.train.images.shape[1:] == (8, 8, 3)
    assert "5 images without labels from tfds:many_shapes: its split unlabelled" in notes[-1]


def test_images_join_a_larger_store_and_are_cropped_as_its_own(pets, put, images_of):
    for image in images_of(1, side=16):
        put(pets / "large" / "one.png", image)
    options = {"image_size": 8, "store_size": 10, "augment": "standard"}
    joined, _ = load(pets, f"folder:{pets / 'large'}", **options)
    assert joined.train.images.shape == (13, 10, 10, 3)
    assert joined.train.images_at(np.array([-1])).shape == (1, 8, 8, 3)
    plan = BatchPlan(joined.train, batch_size=len(joined.train), seed=1, policy=joined.augment)
    images, ids, _ = plan.batch(0)
    assert images.shape[1:] == (8, 8, 3)
    assert 12 in ids
