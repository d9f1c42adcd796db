import numpy as np
import pytest

from kd_keras import data
from kd_keras.data import hidden_labels, holdout
from kd_keras.data.stores.store import Split

NAMES = ("ant", "bee", "cat")


@pytest.fixture
def split(images_of):
    labels = np.repeat(np.arange(3, dtype=np.int32), [20, 30, 10])
    return Split(images_of(80), labels, np.arange(10, 70))


def hide(split, per_class=4, **options):
    return hidden_labels.hide(split, per_class=per_class, class_names=NAMES, **options)


def test_each_class_keeps_as_many_labels_and_no_image_goes(split):
    hidden = hide(split)
    assert np.bincount(hidden.labels[hidden.known]).tolist() == [4, 4, 4]
    np.testing.assert_array_equal(hidden.labels[hidden.known], split.labels[hidden.known])
    assert set(hidden.labels[~hidden.known]) == {-1}
    np.testing.assert_array_equal(hidden.ids, split.ids)
    assert len(hidden.labelled()) == 12


def test_which_labels_stay_depends_on_seed_and_id_alone(split):
    order = np.random.default_rng(0).permutation(60)
    shuffled = hide(split.take(order))
    np.testing.assert_array_equal(shuffled.labels, hide(split).labels[order])
    assert not np.array_equal(hide(split).labels, hide(split, seed=1).labels)
    fewer, more = hide(split, 3).known, hide(split, 7).known
    assert np.all(more[fewer])


def test_the_labels_that_a_release_keeps_stay_the_same(split):
    assert np.flatnonzero(hide(split, 2).known).tolist() == [10, 14, 22, 30, 52, 59]


def test_more_labels_than_there_are_are_refused(split):
    with pytest.raises(ValueError, match=r"labels_per_class is 11, but the class 'cat' has 10 lab"):
        hide(split, 11)
    with pytest.raises(ValueError, match="labels_per_class is 0; expected a whole number >= 1"):
        hide(split, 0)
    assert hide(split, 10).known.sum() == 30


def test_a_dataset_hides_labels_of_train_alone(tmp_path):
    notes = []
    options = {"cache_dir": tmp_path, "tell": notes.append}
    dataset, hidden = data.load("digits", **options), None
    hidden = data.load("digits", labels_per_class=10, **options)
    assert hidden.summary() == (
        "1,438 train images in 10 classes (100 with a label), 359 validation images, 8x8x1"
    )
    np.testing.assert_array_equal(hidden.validation.labels, dataset.validation.labels)
    np.testing.assert_array_equal(hidden.train_with_all_labels.labels, dataset.train.labels)
    np.testing.assert_array_equal(hidden.train.ids, dataset.train.ids)
    assert dataset.train_with_all_labels is None
    assert hidden.fingerprint == dataset.fingerprint  # the images that are measured on
    assert "labels of 10 of each class's images; those of the other 1,338 are hidden" in notes[-1]
    other = data.load("digits", labels_per_class=10, labels_seed=1, **options)
    assert not np.array_equal(other.train.labels, hidden.train.labels)


def test_images_held_out_for_early_stopping_train_no_model(tmp_path):
    loaded = data.load("digits", labels_per_class=10, cache_dir=tmp_path, tell=lambda note: None)
    held_out = holdout.for_stopping(loaded, 0.1)
    ids = held_out.stopping.ids
    assert len(ids) == 10
    assert held_out.stopping.known.all()
    for split in (held_out.train, held_out.train_with_all_labels):
        assert len(split) == 1428
        assert not np.isin(ids, split.ids).any()
