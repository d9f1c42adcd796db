import numpy as np
import pytest

from kd_keras.data import holdout
from kd_keras.data.augmentation import light
from kd_keras.data.stores.store import Dataset, Split


def test_every_class_gives_its_share_and_no_example_is_in_both():
    labels = np.repeat([0, 1, 2], [100, 50, 10])
    rows, held_out = holdout.stratified_split(labels, 0.1)
    assert np.bincount(labels[held_out]).tolist() == [10, 5, 1]
    np.testing.assert_array_equal(np.sort(np.concatenate([rows, held_out])), np.arange(160))


@pytest.mark.parametrize(("count", "held_out"), [(1, 0), (2, 1), (3, 1)])
def test_a_small_class_gives_one_and_keeps_one(count, held_out):
    assert len(holdout.stratified_split(np.zeros(count, int), 0.1)[1]) == held_out


def test_the_same_seed_holds_out_the_same_and_another_others():
    labels = np.zeros(100, int)
    first = holdout.stratified_split(labels, 0.2)[1]
    np.testing.assert_array_equal(first, holdout.stratified_split(labels, 0.2)[1])
    assert not np.array_equal(first, holdout.stratified_split(labels, 0.2, seed=1)[1])


def test_the_held_out_examples_of_a_release_stay_the_same():
    labels = np.random.default_rng(0).integers(0, 7, 60)
    expected = [2, 5, 14, 23, 28, 29, 38, 39, 47, 48, 58, 59]
    assert holdout.stratified_split(labels, 0.2)[1].tolist() == expected


@pytest.mark.parametrize("fraction", [0, -0.1, 1, 2])
def test_a_fraction_outside_0_to_1_is_refused(fraction):
    with pytest.raises(ValueError, match=r"raction.* is .*; expected"):
        holdout.stratified_split(np.zeros(10, int), fraction)


def dataset(labels):
    images = np.zeros((len(labels) + 5, 8, 8, 3), np.uint8)
    train = Split(images, np.asarray(labels, np.int32), np.arange(len(labels), dtype=np.int64))
    return Dataset("d", train, train, None, ("a", "b"), (8, 8, 3), light(0, flip=False), "f")


def test_every_class_keeps_an_example_where_examples_have_several():
    rng = np.random.default_rng(0)
    for _ in range(500):
        images, classes = rng.integers(4, 14), rng.integers(2, 5)
        labels = (rng.random((images, classes)) < 0.3).astype(int)
        rest, held_out = holdout.multi_label_split(labels, 0.1, seed=int(rng.integers(100)))
        assert sorted([*rest, *held_out]) == list(range(images))
        several = labels.sum(axis=0) > 1
        assert (labels[rest].sum(axis=0)[several] > 0).all()


def test_what_trainings_stop_by_is_held_out_of_labelled_train_images():
    labels = np.repeat([0, 1, -1], [40, 20, 30])
    data = dataset(labels)
    split = holdout.for_stopping(data, 0.1)
    assert np.bincount(split.stopping.labels).tolist() == [4, 2]
    assert len(split.train) == 84
    assert not set(split.train.ids) & set(split.stopping.ids)
    assert split.validation is data.validation
    assert split.notes == ("holding out 10 % of train (6 images) to stop early by",)
    np.testing.assert_array_equal(split.stopping.ids, holdout.for_stopping(data, 0.1).stopping.ids)


def test_nothing_to_stop_by_is_refused():
    with pytest.raises(ValueError, match="no class of the 3 training images has two labelled"):
        holdout.for_stopping(dataset([0, 1, -1]), 0.1)
