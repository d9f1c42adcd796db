"""Whether scores are probabilities; without Keras, so that writers of a cache need not load it."""

import numpy as np

SUM_TOLERANCE = 1e-3  # how far the sum of a row of probabilities may be from 1, also in bfloat16


def are_probabilities(rows: np.ndarray) -> bool:
    """Whether all rows, (B, C), are between 0 and 1 and have a sum of 1."""
    return in_range(rows) and bool(np.allclose(rows.sum(axis=-1), 1, atol=SUM_TOLERANCE))


def in_range(rows: np.ndarray) -> bool:
    """Whether all values are between 0 and 1."""
    return bool(np.all(rows >= 0) and np.all(rows <= 1))
