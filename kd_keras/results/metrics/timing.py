"""Measures a model's time per image."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

FEWEST_CALLS = 5
MAX_SPREAD = 0.3  # of the median; with more, other programs took part of the time


def latency(
    predict: Callable[[np.ndarray], Any],
    make_batch: Callable[[int], np.ndarray],
    *,
    seconds: float = 0.25,
) -> dict[str, Any]:
    """Milliseconds per image after a warm-up, in batches of 1 (`batch1`) and 128 (`batch128`).

    Args:
        predict: compiled function whose result for a batch NumPy can turn into an array.
        make_batch: makes a batch of the given number of images.
        seconds: about how long to measure each batch size; at least `FEWEST_CALLS` calls, unless
            they take more than ten times as long.

    Returns:
        The median over the calls by batch name, and `spread`: half of the interquartile range for
        each batch name.
    """
    medians, spread = {}, {}
    for images in (1, 128):
        calls = np.divide(_milliseconds(predict, make_batch(images), seconds), images)
        low, median, high = np.percentile(calls, [25, 50, 75])
        medians[f"batch{images}"] = float(median)
        spread[f"batch{images}"] = float(high - low) / 2
    return {**medians, "spread": spread}


def steady(entry: Mapping[str, Any]) -> bool:
    """Whether a model's time for one image was measured while nothing else kept the machine busy.

    Args:
        entry: the model's entry in results.json.
    """
    times = entry.get("milliseconds_per_image") or {}
    spread = times.get("spread", {}).get("batch1", 0.0)  # earlier versions measured none
    return "batch1" in times and bool(spread <= MAX_SPREAD * times["batch1"])


def _milliseconds(
    predict: Callable[[np.ndarray], Any], batch: np.ndarray, seconds: float
) -> list[float]:
    """Times of calls, after one call that compiles and one that warms the CPU's caches."""

    def call() -> float:
        start = time.perf_counter()
        np.asarray(predict(batch))  # the copy waits until an accelerator has finished
        return (time.perf_counter() - start) * 1e3

    call()
    call()
    total_milliseconds = seconds * 1e3
    calls: list[float] = []
    while sum(calls) < total_milliseconds or (
        len(calls) < FEWEST_CALLS and sum(calls) < 10 * total_milliseconds
    ):
        calls.append(call())
    return calls
