import numpy as np
import pytest

from kd_keras.data import sample

LABELS = np.array([0] * 50 + [1] * 50 + [2] * 3)


@pytest.mark.parametrize(("count", "counts"), [(9, [3, 3, 3]), (23, [10, 10, 3])])
def test_classes_are_drawn_evenly_and_small_ones_whole(count, counts):
    rows = sample.stratified_sample(LABELS, count, seed=0)
    assert np.bincount(LABELS[rows]).tolist() == counts
    assert len(set(rows)) == count
    assert (np.diff(rows) > 0).all()


def test_a_remainder_goes_to_any_classes():
    counts = np.bincount(LABELS[sample.stratified_sample(LABELS, 8, seed=0)])
    assert sorted(counts) == [2, 3, 3]


def test_the_seed_decides_and_too_many_are_all():
    first, again, other = (sample.stratified_sample(LABELS, 9, seed=seed) for seed in (0, 0, 1))
    assert first.tolist() == again.tolist() != other.tolist()
    assert sample.stratified_sample(LABELS, 1000, seed=0).tolist() == list(range(103))
