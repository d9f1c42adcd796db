"""Differences between models with confidence intervals, over seeds and over images."""

import math
from collections.abc import Sequence

import numpy as np

#: P-values of a difference over images that counts are below it.
SIGNIFICANCE_LEVEL = 0.05


def paired_interval(differences: Sequence[float]) -> tuple[float, float, float]:
    """Mean of paired differences over seeds with its 95 % interval (Student's t): mean, low, high.

    Args:
        differences: one difference per seed, at least two; any unit.

    Raises:
        ValueError: there are fewer than two differences, or one is not finite.
    """
    from scipy import stats

    values = np.asarray(differences, np.float64)
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(
            f"differences is {differences!r}; expected two or more finite numbers, one per seed. "
            "Run more seeds."
        )
    mean, n = float(values.mean()), len(values)
    half = float(stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / math.sqrt(n))
    return mean, mean - half, mean + half


def welch_interval(ones: Sequence[float], others: Sequence[float]) -> tuple[float, float, float]:
    """Mean of `ones` minus mean of `others` with its 95 % interval (Welch): mean, low, high.

    For values that are not paired, such as accuracies of different seeds; the variances and the
    numbers of values may differ.

    Args:
        ones: two or more values, one per seed; any unit.
        others: two or more values in the same unit.

    Raises:
        ValueError: there are fewer than two values on one side, or one is not finite.

    Source: Welch 1947, Biometrika 34, 28-35.
    """
    from scipy import stats

    sides = [np.asarray(values, np.float64) for values in (ones, others)]
    if any(side.ndim != 1 or len(side) < 2 or not np.isfinite(side).all() for side in sides):
        raise ValueError(
            f"the values are {ones!r} and {others!r}; expected two or more finite numbers in each, "
            "one per seed. Run more seeds."
        )
    difference = float(sides[0].mean() - sides[1].mean())
    mean_variances = [float(side.var(ddof=1)) / len(side) for side in sides]
    if not sum(mean_variances):
        return difference, difference, difference
    degrees = sum(mean_variances) ** 2 / sum(
        mean_variance**2 / (len(side) - 1)
        for mean_variance, side in zip(mean_variances, sides, strict=True)
    )
    half = float(stats.t.ppf(0.975, degrees)) * math.sqrt(sum(mean_variances))
    return difference, difference - half, difference + half


def bootstrap_interval(
    correct_a: np.ndarray, correct_b: np.ndarray, seed: int, samples: int = 2000
) -> tuple[float, float, float]:
    """Accuracy of a minus accuracy of b on the same images with its 95 % interval over images.

    This is the paired percentile bootstrap. The difference on an image is -1, 0 or 1, so resampling
    draws only how often each of these values occurs, without an (images, samples) array.

    Args:
        correct_a: bool (N,), whether a is right on each image.
        correct_b: bool (N,), the same for b, on the same images in the same order.
        seed: seed of the resampling.
        samples: number of bootstrap samples, each of N images.

    Returns:
        Difference, low, high; fractions, not percent.

    Raises:
        ValueError: the arrays differ in length or are empty.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
    """
    a, b = _checked_pair(correct_a, correct_b)
    values = np.array([-1, 0, 1])
    differences = a.astype(int) - b.astype(int)
    shares = (differences == values[:, None]).mean(axis=1)
    multiplicities = np.random.default_rng(seed).multinomial(len(a), shares, size=samples)
    low, high = np.quantile(multiplicities @ values / len(a), [0.025, 0.975])
    return float(differences.mean()), float(low), float(high)


def bias_corrected_interval(estimate: float, samples: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of an estimate whose bootstrap samples are not centred on it.

    An average precision is such an estimate: an image that is drawn twice raises its own rank's
    precision. The interval is that of the percentiles at which the samples would be centred; where
    they are, it is the percentile bootstrap.

    Args:
        estimate: value of the statistic for the data themselves.
        samples: (S,) float, of S bootstrap samples of the data; NaN for those without a value.

    Returns:
        Low, high; both NaN if no sample has a value.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 14, with an
    acceleration of 0.
    """
    from scipy import stats

    values = samples[np.isfinite(samples)]
    if not len(values):
        return math.nan, math.nan
    share_below = float(np.mean(values < estimate) + np.mean(values == estimate) / 2)
    smallest_share = 0.5 / len(values)  # of a share that S samples can tell from 0
    shift = 2 * stats.norm.ppf(min(max(share_below, smallest_share), 1 - smallest_share))
    low, high = np.quantile(values, stats.norm.cdf(shift + stats.norm.ppf([0.025, 0.975])))
    return float(low), float(high)


def mcnemar(correct_a: np.ndarray, correct_b: np.ndarray) -> tuple[int, int, float]:
    """The exact McNemar test of two models on the same images: is one right more often?

    Only images on which exactly one model is right count. If the models are equally good, each of
    these falls to either with probability 1/2, so the test is a two-sided binomial one.

    Args:
        correct_a: bool (N,), whether a is right on each image.
        correct_b: bool (N,), the same for b, on the same images in the same order.

    Returns:
        How many images only a has right, how many only b, and the p-value; 1 if there are none.

    Raises:
        ValueError: the arrays differ in length or are empty.

    Source: McNemar 1947, Psychometrika 12, 153-157; for classifiers: Dietterich 1998, "Approximate
    Statistical Tests for Comparing Supervised Classification Learning Algorithms", section 3.1.
    """
    from scipy import stats

    a, b = _checked_pair(correct_a, correct_b)
    only_a, only_b = int(np.sum(a & ~b)), int(np.sum(b & ~a))
    if only_a + only_b == 0:
        return 0, 0, 1.0
    return only_a, only_b, float(stats.binomtest(only_a, only_a + only_b).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number: the chance of any false alarm stays at the level chosen.

    Source: Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian
    Journal of Statistics 6, 65-70.
    """
    adjusted_values, largest_value = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values)):
        largest_value = max(largest_value, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted_values[index] = largest_value
    return adjusted_values


def share_interval(num_hits: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share, such as an accuracy over images: low, high, 0 to 1.

    Args:
        num_hits: number of successes.
        total: number of trials, at least 1.

    Source: Wilson 1927, Journal of the American Statistical Association 22, 209-212.
    """
    from scipy import stats

    interval = stats.binomtest(num_hits, total).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def _checked_pair(correct_a: np.ndarray, correct_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(correct_a, bool), np.asarray(correct_b, bool)
    if a.ndim != 1 or a.shape != b.shape or not len(a):
        raise ValueError(
            f"correct_a has shape {a.shape} and correct_b {b.shape}; expected (N,) for both, on "
            "the same images. Evaluate both models on one split."
        )
    return a, b
