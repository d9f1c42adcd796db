"""Several processes, usually a machine each, that train one model together: what only one does.

The first process, or chief, writes files; the others read them. All call the functions here in the
same order, since each waits for the others in them. In a process that trains alone they do nothing.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf

_Result = TypeVar("_Result")
_ENDED = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
)


def num_processes(strategy: tf.distribute.Strategy) -> int:
    """The number of processes that train together."""
    return int(getattr(strategy.extended, "_num_workers", 1))


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes files; one that trains alone does."""
    return bool(strategy.extended.should_checkpoint)


def process_index(strategy: tf.distribute.Strategy) -> int:
    """Index of this process among all that train together, from 0."""
    return (
        int(getattr(strategy.extended, "_id_in_cluster", 0)) if num_processes(strategy) > 1 else 0
    )


def own_replicas(strategy: tf.distribute.Strategy) -> range:
    """Indices of this process's replicas among all."""
    num_own = strategy.num_replicas_in_sync // num_processes(strategy)
    return range(process_index(strategy) * num_own, (process_index(strategy) + 1) * num_own)


def any_of(strategy: tf.distribute.Strategy, fact: bool) -> bool:
    """Whether the fact is true in any of the processes; each waits for all.

    Args:
        strategy: the devices.
        fact: the value of this process.
    """
    if num_processes(strategy) == 1:
        return fact
    return float(_sum_over_replicas(strategy)(tf.constant([float(fact)]))[0]) > 0


def wait_for_all(strategy: tf.distribute.Strategy) -> None:
    """Returns once every process has called it."""
    any_of(strategy, False)


def gather_rows(strategy: tf.distribute.Strategy, own_rows: np.ndarray) -> np.ndarray:
    """Rows of all replicas, in order, from those of this process's replicas; each waits for all.

    Args:
        strategy: the devices.
        own_rows: (r, n) float64, a row for each of `own_replicas`.

    Returns:
        (R, n) float64.
    """
    if num_processes(strategy) == 1:
        return own_rows
    all_rows = np.zeros((strategy.num_replicas_in_sync, own_rows.shape[1]))
    all_rows[own_replicas(strategy)] = own_rows
    sums = _sum_over_replicas(strategy)(tf.constant(all_rows))
    result: np.ndarray = sums.numpy() / len(own_rows)  # each replica gave all rows of its process
    return result


def chief_first(strategy: tf.distribute.Strategy, act: Callable[[], _Result]) -> _Result:
    """`act()` by the chief, then by the others, which find what it wrote.

    Raises:
        OSError: in the others, if `act` raised in the chief.
    """
    result = chief_only(strategy, act)
    return act() if result is None and not is_chief(strategy) else result  # type: ignore[return-value]


def chief_only(strategy: tf.distribute.Strategy, act: Callable[[], _Result]) -> _Result | None:
    """`act()` by the chief, while the others wait; gives them None.

    Raises:
        OSError: in the others, if `act` raised in the chief.
    """
    result, failure = None, None
    if is_chief(strategy):
        try:
            result = act()
        except Exception as error:
            failure = error
    if any_of(strategy, failure is not None):
        raise failure or OSError("the first machine of this run stopped; its message says why.")
    return result


def distribute_batches(
    strategy: tf.distribute.Strategy, make: Callable[[range, int], tf.data.Dataset]
) -> Any:
    """Batches for `fit`, of which each process makes only the shards of its own replicas.

    Args:
        strategy: the devices.
        make: from indices of replicas, and the number of all replicas, to a dataset: of each batch,
            the shards of these replicas, one after the other.
    """
    replicas, total = own_replicas(strategy), strategy.num_replicas_in_sync
    return strategy.distribute_datasets_from_function(lambda context: make(replicas, total))


@contextlib.contextmanager
def explain_lost_machine(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Turns TensorFlow's error about a process that ended into an OSError that says what to do."""
    try:
        yield
    except _ENDED as error:
        if num_processes(strategy) == 1:
            raise
        raise OSError(
            "another machine of this run ended, or cannot be reached. Its own message says why, if "
            "it has one. Start the same command on all machines again: the run continues at its "
            "last checkpoint."
        ) from error


@functools.cache
def _sum_over_replicas(strategy: tf.distribute.Strategy) -> Any:
    """A compiled function that sums a tensor over all replicas."""

    @tf.function(reduce_retracing=True)
    def summed(value: tf.Tensor) -> tf.Tensor:
        values = strategy.run(tf.identity, args=(value,))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None)

    return summed
