"""How long a model takes for an image."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

FEWEST_CALLS = 5


def latency(
    predict: Callable[[np.ndarray], Any],
    make_batch: Callable[[int], np.ndarray],
    *,
    seconds: float = 0.25,
) -> dict[str, Any]:
    """Warm milliseconds an image, alone (`batch1`) and in batches of 128 (`batch128`).

    Args:
        predict: a compiled function; what it gives for a batch can be made an array.
        make_batch: number of images to a batch of them.
        seconds: about how long to measure each; `FEWEST_CALLS` at least, unless they take more
            than ten times as long.

    Returns:
        The median of the calls by the batch's name, and `spread`: for each of them, half the range
        of the middle half of the calls.
    """
    medians, spread = {}, {}
    for images in (1, 128):
        calls = np.divide(_milliseconds(predict, make_batch(images), seconds), images)
        low, median, high = np.percentile(calls, [25, 50, 75])
        medians[f"batch{images}"] = float(median)
        spread[f"batch{images}"] = float(high - low) / 2
    return {**medians, "spread": spread}


def _milliseconds(
    predict: Callable[[np.ndarray], Any], batch: np.ndarray, seconds: float
) -> list[float]:
    """Times of calls, after one that compiles and one that warms the caches."""

    def call() -> float:
        start = time.perf_counter()
        np.asarray(predict(batch))  # the copy waits for an accelerator
        return (time.perf_counter() - start) * 1e3

    call()
    call()
    enough = seconds * 1e3
    calls: list[float] = []
    while sum(calls) < enough or (len(calls) < FEWEST_CALLS and sum(calls) < 10 * enough):
        calls.append(call())
    return calls
