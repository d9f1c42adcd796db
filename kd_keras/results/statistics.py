"""Differences between models with their intervals: over seeds, and over images."""

import math
from collections.abc import Sequence

import numpy as np


def paired_interval(differences: Sequence[float]) -> tuple[float, float, float]:
    """Mean of paired differences over seeds with its 95 % interval (Student's t): mean, low, high.

    Args:
        differences: one a seed, at least two; any unit.

    Raises:
        ValueError: fewer than two, or one that is not finite.
    """
    from scipy import stats

    values = np.asarray(differences, np.float64)
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(
            f"differences is {differences!r}; expected two or more finite numbers, one a seed. "
            "Run more seeds."
        )
    mean, n = float(values.mean()), len(values)
    half = float(stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / math.sqrt(n))
    return mean, mean - half, mean + half


def bootstrap_interval(
    correct_a: np.ndarray, correct_b: np.ndarray, seed: int, samples: int = 2000
) -> tuple[float, float, float]:
    """Accuracy of a minus accuracy of b on the same images with its 95 % interval over images.

    An image is worth -1, 0 or 1, so drawing images anew is drawing how often each of the three
    comes up: the percentile bootstrap, paired, without an (images, samples) array.

    Args:
        correct_a: bool (N,), whether a was right on each image.
        correct_b: bool (N,), b on the same images in the same order.
        seed: of the draws.
        samples: how many times the N images are drawn anew.

    Returns:
        Difference, low, high; fractions, not percent.

    Raises:
        ValueError: the two are not of one length, or empty.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
    """
    a, b = np.asarray(correct_a, bool), np.asarray(correct_b, bool)
    if a.ndim != 1 or a.shape != b.shape or not len(a):
        raise ValueError(
            f"correct_a has shape {a.shape} and correct_b {b.shape}; expected (N,) both, of the "
            "same images. Evaluate both models on one split."
        )
    worth = np.array([-1, 0, 1])
    differences = a.astype(int) - b.astype(int)
    shares = (differences == worth[:, None]).mean(axis=1)
    drawn = np.random.default_rng(seed).multinomial(len(a), shares, size=samples)
    low, high = np.quantile(drawn @ worth / len(a), [0.025, 0.975])
    return float(differences.mean()), float(low), float(high)
