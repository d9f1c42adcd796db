"""How a batch is split over the replicas, and what a step does where a part is small or empty.

TensorFlow gives each replica ceil(B / n) examples, in order, until there are no more: of 5
examples, 4 replicas get 2, 2, 1 and 0.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from kd_keras import replicas
from kd_keras.tensor_types import Tensor

_EXPECTED = "expected at least one example for each device."
_REMEDY = (
    "Drop the remainder (dataset.batch(n, drop_remainder=True)), or choose another batch size."
)
_MARK = "A training batch leaves a device without examples"


def sizes(count: int, num_replicas: int) -> list[int]:
    """How many of `count` examples each replica gets, in order."""
    size = -(-count // num_replicas)  # of every part that is full
    return [min(size, max(0, count - place * size)) for place in range(num_replicas)]


def require_full(what: str, count: int, num_replicas: int, *, remedy: str = _REMEDY) -> None:
    """Raises ValueError if a training batch leaves a replica without examples.

    Args:
        what: the subject of the message, such as "batch_size".
        count: examples in the batch, over all replicas.
        num_replicas: number of devices.
        remedy: what the user can do, as a sentence.
    """
    shares = sizes(count, num_replicas)
    if 0 in shares:
        raise ValueError(
            f"{what} is {count}, which {num_replicas} devices share as {shares}; "
            f"{_EXPECTED} {remedy}"
        )


def require_full_batches(adapter: Any, num_replicas: int) -> None:
    """`require_full` for the batches that Keras makes of arrays; those of datasets are unknown.

    Args:
        adapter: Keras's data adapter: `batch_size`, and `partial_batch_size` of the last batch.
        num_replicas: number of devices.
    """
    if isinstance(getattr(adapter, "_dataset", None), tf.distribute.DistributedDataset):
        return  # shared already, such as by `machines.distribute_batches`
    if adapter.batch_size is not None:
        require_full("batch_size", adapter.batch_size, num_replicas)
    if adapter.partial_batch_size:
        require_full("the size of the last batch", adapter.partial_batch_size, num_replicas)


def first_part(strategy: tf.distribute.Strategy, batch: Any) -> Any:
    """The first replica's part of a batch; a batch that is not split, as it is."""
    return tf.nest.map_structure(lambda v: strategy.experimental_local_results(v)[0], batch)


def check_full(strategy: tf.distribute.Strategy, batch: Any) -> list[tf.Operation]:
    """Operations that fail where a training batch leaves a replica without examples."""
    values = strategy.experimental_local_results(tf.nest.flatten(batch)[0])
    if len(values) == 1 or not all(map(tf.is_tensor, values)):
        return []
    counts = tf.stack([tf.shape(value)[0] for value in values])
    return [tf.debugging.Assert(tf.reduce_all(counts > 0), [f"{_MARK}.", counts])]


@contextlib.contextmanager
def translate_errors() -> Iterator[None]:
    """Turns the failure of `check_full` in the block into a ValueError that says what to do."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        if _MARK not in str(error):
            raise
        raise ValueError(f"{_MARK}; {_EXPECTED} {_REMEDY}") from error


def replica_fraction(count: Tensor) -> Any:
    """This replica's share, 0 to 1, of the examples of a step's batch.

    Means of parts add up to the mean of the whole by these, also where parts are unequal.

    Args:
        count: scalar, this replica's number of examples; a Python int, in a traced step, is the
            same on each replica.
    """
    if replicas.count() == 1 or (isinstance(count, int) and not tf.executing_eagerly()):
        return 1.0 / replicas.count()
    own = tf.cast(count, "float32")
    # No GPU has run this yet: one all-reduce of a scalar a step, where batches have no known size.
    return own / replicas.summed(own)


def run_on_any(run: Callable[[Any], Any], inputs: Any) -> Any:
    """`run(inputs)` for tensors (B, …), even if this replica has no example of the batch.

    Layers such as Flatten fail on an empty batch, so that one is run on an example of zeros, which
    is not in the result.
    """
    if replicas.count() == 1:
        return run(inputs)
    count = tf.shape(keras.tree.flatten(inputs)[0])[0]
    num_padding = tf.maximum(1 - count, 0)

    def padded(value: Tensor) -> Tensor:
        shape = tf.concat([[num_padding], tf.shape(value)[1:]], axis=0)
        padded_value = tf.concat([value, tf.zeros(shape, value.dtype)], axis=0)
        return tf.ensure_shape(padded_value, (None, *value.shape[1:]))

    outputs = run(keras.tree.map_structure(padded, inputs))
    return keras.tree.map_structure(lambda value: value[:count], outputs)
