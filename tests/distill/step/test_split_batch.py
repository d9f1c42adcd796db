import pytest
import tensorflow as tf

from kd_keras.distill.step import split_batch


@pytest.mark.parametrize(
    ("count", "replicas", "expected"),
    [(8, 2, [4, 4]), (7, 2, [4, 3]), (1, 2, [1, 0]), (5, 4, [2, 2, 1, 0]), (9, 4, [3, 3, 3, 0])],
)
def test_sizes_are_those_of_tensorflow(count, replicas, expected):
    assert split_batch.sizes(count, replicas) == expected


def test_a_batch_that_leaves_a_device_empty_is_refused():
    split_batch.require_full("batch_size", 7, 4)
    message = r"batch_size is 5, which 4 devices share as \[2, 2, 1, 0\]; expected at least one"
    with pytest.raises(ValueError, match=message):
        split_batch.require_full("batch_size", 5, 4)


def test_one_device_has_the_whole_batch():
    assert split_batch.replica_fraction(tf.constant(7)) == 1.0
    inputs = tf.ones((3, 2))
    assert split_batch.run_on_any(lambda argument: argument is inputs, inputs)
