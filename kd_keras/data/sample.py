"""Draws some of a split's examples, the same number of each class."""

import numpy as np

from kd_keras.data import hashing

_PURPOSE = 0x73616D70  # "samp": keeps these bits apart from those of the hold-out


def stratified_sample(labels: np.ndarray, num_examples: int, *, seed: int) -> np.ndarray:
    """Positions of `num_examples` examples, spread over the classes as evenly as possible.

    Classes that have fewer examples than the others give all of theirs.

    Args:
        labels: (N,) int; or (N, C) of 0 and 1, of which each combination counts as a class.
        num_examples: how many; all N if there are fewer.
        seed: seed of the choice.

    Returns:
        (min(N, count),) int64, ascending.
    """
    if labels.ndim == 2:
        labels = np.unique(labels, axis=0, return_inverse=True)[1].reshape(-1)
    random_order = np.argsort(
        hashing.random_bits(np.arange(len(labels)), _PURPOSE, seed), kind="stable"
    )
    rows_by_class = random_order[np.argsort(labels[random_order], kind="stable")]
    _, starts, sizes = np.unique(labels[rows_by_class], return_index=True, return_counts=True)
    rank = np.arange(len(labels)) - np.repeat(starts, sizes)  # of each example within its class
    # The first of every class, then the second ones, and so on; of the last round, any.
    round_robin = rows_by_class[np.lexsort((random_order.argsort()[rows_by_class], rank))]
    return np.sort(round_robin[:num_examples])
