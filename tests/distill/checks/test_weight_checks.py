"""Sample weights and class weights that would make a loss wrong without a word."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kd_keras import Distiller
from kd_keras.distill.checks import data_checks, weight_checks

WRONG = [
    (np.ones((6, 2)), r"sample_weight has shape \(6, 2\) for 6 examples; expected finite numbers"),
    (np.ones(3), r"sample_weight has shape \(3,\) for 6 examples"),
    (2.0, r"sample_weight has shape \(\) for 6 examples"),
    (np.array([1, 1, 1, 1, 1, np.nan]), "sample_weight holds nan; expected finite numbers >= 0"),
    (
        np.array([1, 1, 1, 1, 1, -0.5]),
        r"sample_weight holds -0\.5; .* Give 0 to examples that should not",
    ),
    (np.array([1, 1, 1, 1, 1, np.inf]), "sample_weight holds inf;"),
    ({"a": np.ones(6)}, "sample_weight is a dict; expected finite numbers"),
    (np.array(["a"] * 6), "sample_weight is of dtype string;"),
]


@pytest.fixture(scope="module")
def distiller(net):
    distiller = Distiller(net("student"))
    distiller.compile(weighted_metrics=["accuracy"])
    return distiller


@pytest.mark.parametrize(("weights", "message"), WRONG)
def test_weights_of_arrays_are_checked_before_a_step(distiller, images, labels, weights, message):
    data = {"x": images[:6], "y": labels[:6]}
    calls = [distiller.fit, distiller.evaluate, distiller.train_on_batch, distiller.test_on_batch]
    for call in calls:
        with pytest.raises(ValueError, match=message):
            call(**data, sample_weight=weights)
    with pytest.raises(ValueError, match=message):
        distiller.fit(**data, validation_data=(*data.values(), weights), verbose=0)
    assert not distiller.optimizer.iterations.numpy()


@pytest.mark.parametrize("weights", [np.ones(6, int), np.ones((6, 1)), [True, False] * 3, None])
def test_one_weight_for_each_example_is_right(weights):
    weight_checks.check_arrays(weights, np.zeros(6))
    weight_checks.check_arrays(weights, None)


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.5])
@pytest.mark.parametrize("rows", [False, True])
def test_weights_of_a_dataset_are_checked_batch_by_batch(value, rows):
    x, y = np.zeros((6, 2), "float32"), np.zeros(6, int)
    y = np.eye(5, dtype="float32")[y] if rows else y
    weights = np.array([1, 0, 2, 1, 1, value], "float32")
    batches = tf.data.Dataset.from_tensor_slices((x, y, weights)).batch(3)
    steps = iter(data_checks.checked(batches, None, None, 5, multi_label=rows))
    next(steps)
    with (
        pytest.raises(ValueError, match=rf"sample_weight holds {value:g}; expected finite"),
        data_checks.translate_errors(5),
    ):
        next(steps)


def test_weights_of_a_dataset_have_one_number_for_each_example():
    parts = (np.zeros((6, 2), "float32"), np.zeros(6, int), np.ones((6, 2), "float32"))
    batches = tf.data.Dataset.from_tensor_slices(parts).batch(3)
    with pytest.raises(ValueError, match=r"sample_weight has shape \(None, 2\); expected"):
        data_checks.checked(batches, None, None, 5)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({0: np.nan}, "the class_weight of class 0 is nan; expected a finite number >= 0"),
        ({1: -1}, "the class_weight of class 1 is -1;"),
        ({5: 1.0}, "a key of class_weight is 5; expected a whole number >= 0 and <= 4"),
        ({"cat": 1.0}, "a key of class_weight is 'cat';"),
        ([1.0, 2.0], r"class_weight is a list; expected a dict .* dict\(enumerate\(weights\)\)"),
    ],
)
def test_class_weights_are_checked_before_a_step(distiller, images, labels, weights, message):
    for call in (distiller.fit, distiller.train_on_batch):
        with pytest.raises(ValueError, match=message):
            call(images[:6], labels[:6], class_weight=weights)
    weight_checks.check_class_weight({0: 2, np.int64(4): 0.5}, 5)
    weight_checks.check_class_weight(None, 5)


def test_a_generator_s_weights_are_checked(distiller, images, labels):
    batches = ((images[:6], labels[:6], np.full(6, value)) for value in (1.0, np.nan))
    with pytest.raises(ValueError, match="sample_weight holds nan"):
        distiller.fit(batches, steps_per_epoch=2, verbose=0)


def test_sequences_of_batches_are_checked_by_their_first(images, labels):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, place):
            return images[:6], labels[:6], np.full(6, -1.0)

    with pytest.raises(ValueError, match="sample_weight holds -1;"):
        data_checks.checked(Batches(), None, None, 5)
