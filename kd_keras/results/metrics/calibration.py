"""Calibration of a classifier: does its confidence equal its accuracy, and what corrects it."""

import math
from typing import Any

import numpy as np

BINS = 15
#: Temperatures that are tried. For a model that is never wrong, lower is always better.
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.01, 100.0
_ROWS = 4096  # of float64 at a time, so that memory does not grow with the images


def measure_calibration(logits: np.ndarray, labels: np.ndarray, *, seed: int = 0) -> dict[str, Any]:
    """A model's calibration, as results.json holds it.

    The temperature is fitted on one half of the images, drawn at random, and its effect is measured
    on the other half, which it has not seen.

    Args:
        logits: (N, C) float, raw scores, finite.
        labels: (N,) int.
        seed: seed of the split into halves.

    Returns:
        `images` N; `ece` and `nll` of all of them; `bins` of the reliability diagram, see `bins`.
        With two images or more also `temperature`; `fitted_on` and `measured_on`, images of the
        halves; and `ece_before`, `ece_after`, `nll_before`, `nll_after`: of the other half, without
        and with the temperature.
    """
    entry = {
        "images": len(labels),
        "ece": ece(logits, labels),
        "nll": nll(logits, labels),
        "bins": bins(logits, labels),
    }
    if len(labels) < 2:
        return entry
    order = np.random.default_rng(seed).permutation(len(labels))
    fit_rows, test_rows = np.array_split(order, 2)
    temperature = best_temperature(logits[fit_rows], labels[fit_rows])
    test_half = logits[test_rows], labels[test_rows]
    return entry | {
        "temperature": temperature,
        "fitted_on": len(fit_rows),
        "measured_on": len(test_rows),
        "ece_before": ece(*test_half),
        "ece_after": ece(*test_half, temperature=temperature),
        "nll_before": nll(*test_half),
        "nll_after": nll(*test_half, temperature=temperature),
    }


def bins(
    logits: np.ndarray, labels: np.ndarray, *, temperature: float = 1.0, num_bins: int = BINS
) -> list[dict[str, Any]]:
    """The reliability diagram: images by confidence, in `num_bins` bins of equal width from 0 to 1.

    Confidence is the largest probability of the softmax of logits / temperature. A bin holds its
    upper bound, not its lower one.

    Args:
        logits: (N, C) float.
        labels: (N,) int.
        temperature: > 0.
        num_bins: number of bins, >= 1.

    Returns:
        For each bin `low`, `high`, `images`, and the means over its images `confidence` and
        `accuracy`, 0 to 1; None in an empty bin.

    Source: Guo, Pleiss, Sun, Weinberger 2017, "On Calibration of Modern Neural Networks",
    arXiv:1706.04599, section 2.
    """
    confidence, is_right = _confidence(logits, labels, temperature)
    bin_index = np.clip(np.ceil(confidence * num_bins).astype(int) - 1, 0, num_bins - 1)
    images = np.bincount(bin_index, minlength=num_bins)
    sums = [
        np.bincount(bin_index, weights=values, minlength=num_bins)
        for values in (confidence, is_right)
    ]
    return [
        {
            "low": i / num_bins,
            "high": (i + 1) / num_bins,
            "images": int(n),
            "confidence": float(sums[0][i] / n) if n else None,
            "accuracy": float(sums[1][i] / n) if n else None,
        }
        for i, n in enumerate(images)
    ]


def ece(
    logits: np.ndarray, labels: np.ndarray, *, temperature: float = 1.0, num_bins: int = BINS
) -> float:
    """Expected calibration error, 0 to 1: mean over images of |accuracy - confidence| of their bin.

    Args:
        logits, labels, temperature, num_bins: as for `bins`.

    Source: Naeini, Cooper, Hauskrecht 2015, "Obtaining Well Calibrated Probabilities Using Bayesian
    Binning", AAAI, for two classes; Guo et al. 2017, equation 3, for several.
    """
    all_bins = bins(logits, labels, temperature=temperature, num_bins=num_bins)
    filled_bins = [one_bin for one_bin in all_bins if one_bin["images"]]
    gaps = sum(
        one_bin["images"] * abs(one_bin["accuracy"] - one_bin["confidence"])
        for one_bin in filled_bins
    )
    return float(gaps / len(labels))


def nll(logits: np.ndarray, labels: np.ndarray, *, temperature: float = 1.0) -> float:
    """Mean negative log-likelihood of the labels, in nats, of the softmax of logits / temperature.

    Args:
        logits, labels, temperature: as for `bins`.
    """
    total = 0.0
    for start in range(0, len(labels), _ROWS):
        rows = np.asarray(logits[start : start + _ROWS], np.float64) / temperature
        batch_labels = labels[start : start + _ROWS]
        rows -= rows.max(axis=1, keepdims=True)
        log_sums = np.log(np.exp(rows).sum(axis=1))
        total += float(np.sum(log_sums - rows[np.arange(len(batch_labels)), batch_labels]))
    return total / len(labels)


def best_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature, 0.01 to 100, that minimises `nll`; above 1 for an overconfident model.

    Args:
        logits: (N, C) float.
        labels: (N,) int.

    Source: Guo et al. 2017, section 4.2, "temperature scaling". It changes no prediction.
    """
    from scipy import optimize

    result = optimize.minimize_scalar(
        lambda log: nll(logits, labels, temperature=math.exp(log)),
        bounds=(math.log(LOWEST_TEMPERATURE), math.log(HIGHEST_TEMPERATURE)),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(math.exp(result.x))


def _confidence(
    logits: np.ndarray, labels: np.ndarray, temperature: float
) -> tuple[np.ndarray, np.ndarray]:
    """(N,) float64 largest probabilities, and (N,) bool whether their class is the label."""
    largest_logits = np.max(logits, axis=1).astype(np.float64)
    confidence = np.empty(len(labels))
    for start in range(0, len(labels), _ROWS):
        rows = slice(start, start + _ROWS)
        shifted_logits = np.asarray(logits[rows], np.float64) - largest_logits[rows, None]
        confidence[rows] = 1 / np.exp(shifted_logits / temperature).sum(axis=1)
    return confidence, np.argmax(logits, axis=1) == labels
