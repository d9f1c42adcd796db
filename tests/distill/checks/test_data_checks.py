import keras
import numpy as np
import pytest
import tensorflow as tf

from kd_keras.distill.checks import data_checks

X = np.zeros((6, 2), "float32")


def batches(y, *weights):
    return tf.data.Dataset.from_tensor_slices((X, np.array(y), *weights)).batch(3)


def checked(data):
    with data_checks.translate_errors(5):
        return list(data_checks.checked(data, None, None, 5))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0, 1, 2, 3, 4, -1], "labels hold -1; expected whole numbers from 0 to 4"),
        ([0, 1, 2, 3, 4, 5], "labels hold 5;"),
        ([0.0, 1.0, 2.0, 3.0, 4.0, 2.5], "labels hold 2.5;"),
        (np.eye(5)[[0, 1, 2, 3, 4, 0]] + np.eye(5)[[0]], "labels have a row that sums to 2;"),
        ([[3, -2, 0, 0, 0]] * 6, "labels hold -2; expected rows of 5 probabilities from 0 to 1"),
        ([[1, -1e-7, 0, 0, 0]] * 6, "labels hold -1e-07;"),
        ([[-1] * 5] * 6, "labels hold -1; .* compile with ignore_class=-1"),
        ([[np.nan] * 5] * 6, "labels have a row that sums to nan;"),
        (np.eye(4)[[0, 1, 2, 3, 0, 1]], "labels have rows of 4 values; expected 5"),
        (["cat"] * 6, "labels are strings"),
    ],
)
def test_every_batch_of_a_dataset_is_checked(y, message):
    with pytest.raises(ValueError, match=message):
        checked(batches(y))


def test_a_dataset_that_is_right_stays_as_it_is():
    y = np.array([0, 1, 2, 3, 4, 0], "uint8")
    dataset = batches(y, np.ones(6, "float32"))
    after = data_checks.checked(dataset, None, None, 5)
    assert after.element_spec == dataset.element_spec
    assert int(after.cardinality()) == 2
    np.testing.assert_array_equal(np.concatenate([labels for _, labels, _ in after]), y)


def test_rows_of_weight_0_in_a_dataset_need_no_probabilities():
    y = np.eye(5)[[0, 1, 2, 3, 4, 0]]
    y[5] = 0
    assert len(checked(batches(y, np.array([1, 1, 1, 1, 1, 0], "float32")))) == 2


def test_negative_rows_of_a_dataset_are_unknown_or_have_weight_0():
    y = np.eye(5, dtype="float32")[[0, 1, 2, 3, 4, 0]]
    y[5] = [3, -2, 0, 0, 0]
    assert len(list(data_checks.checked(batches(y), None, None, 5, ignore_class=-1))) == 2
    assert len(checked(batches(y, np.array([1, 1, 1, 1, 1, 0], "float32")))) == 2


def test_rows_of_booleans_in_a_dataset_are_probabilities_of_one_class():
    y = np.eye(5, dtype=bool)[[0, 1, 2, 3, 4, 0]]
    assert len(list(data_checks.checked(batches(y), None, None, 5, ignore_class=-1))) == 2


def test_labels_of_unknown_rank_are_refused():
    def shapeless(x, y):
        return x, tf.py_function(lambda y: y, [y], tf.int64)

    with pytest.raises(ValueError, match="labels have a shape of unknown rank"):
        checked(batches([0] * 6).map(shapeless))


def test_every_batch_of_a_generator_is_checked():
    batches = [(X, np.zeros(6)), (X, np.full(6, 9))]
    generator = data_checks.checked((batch for batch in batches), None, None, 5)
    assert next(generator) is batches[0]
    with pytest.raises(ValueError, match="labels hold 9"):
        next(generator)


def test_data_without_an_end_need_a_number_of_steps():
    endless = batches([0] * 6).repeat()
    with pytest.raises(ValueError, match=r"the data never end .* steps is None; .* Give steps, or"):
        data_checks.require_end("the data", endless, None, "steps")
    data_checks.require_end("the data", endless, 3, "steps")
    data_checks.require_end("the data", batches([0] * 6), None, "steps")
    data_checks.require_end("the data", X, None, "steps")


class Batches(keras.utils.PyDataset):
    """A dataset of one batch."""

    def __init__(self, batch):
        super().__init__()
        self.batch = batch

    def __len__(self):
        return 1

    def __getitem__(self, place):
        return self.batch


class Loader:
    """Batches that show nothing before they are read, as those of a torch DataLoader."""

    def __iter__(self):
        yield X, np.zeros(6)


def test_data_without_labels_are_those_that_show_it():
    y = np.zeros(6)
    for unlabelled in (X, [X, X], {"a": X}, tf.constant(X), Batches(X), Batches((X,))):
        assert not data_checks.have_labels(unlabelled, None)
    assert not data_checks.have_labels(tf.data.Dataset.from_tensor_slices(X), None)
    assert data_checks.have_labels(X, y)
    for labelled in (batches(y), Batches((X, y)), Batches([X, y]), Loader(), iter(Loader())):
        assert data_checks.have_labels(labelled, None)
