"""What people read of a run, and the arithmetic behind it: times, tables, intervals."""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras import atomic, phase_names
from kd_keras.screen import Screen

# What the closing table has of a model, by the heading; two lines keep it within 80 columns.
_TOP1, _TOP5, _ALONE, _BATCH = "top-1\n%", "top-5\n%", "ms/image\nbatch 1", "ms/image\nbatch 128"
COLUMNS = ("model", _TOP1, _TOP5, "params", "saved\nMB", _ALONE, _BATCH)
FEWEST_CLASSES_FOR_TOP5 = 10
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


def columns(results: Mapping[str, Any]) -> list[str]:
    """The headings of the closing table: no top-5 of few classes, no times where none is known."""
    few = results.get("data", {}).get("classes", math.inf) < FEWEST_CLASSES_FOR_TOP5
    timed = any(results[phase]["milliseconds_per_image"] for phase in models(results))
    without = {_TOP5} if few else set()
    without |= set() if timed else {_ALONE, _BATCH}
    return [column for column in COLUMNS if column not in without]


def rows(results: Mapping[str, Any]) -> list[list[str | None]]:
    """The lines of the closing table, one a model that is there; None where nothing is known.

    Args:
        results: by phase ("teacher", "teacher-1", "baseline", "assistant-1", "generation-1",
            "student"), in the order of the lines, None or a mapping of `top1`, `top5` (fractions),
            `parameters`, `milliseconds_per_image` (see `latency`; None of one that was not timed)
            and, if it was exported, `export` (`megabytes`). Of what is no model, "data" may tell
            the number of `classes`.

    Returns:
        A text for each of `columns`.
    """
    shown = columns(results)
    lines = [{"model": model_name(p, results), **_cells(results[p])} for p in models(results)]
    return [[line[column] for column in shown] for line in lines]


def models(results: Mapping[str, Any]) -> list[str]:
    """The phases of the models in `results`, in their order."""
    return [phase for phase, result in results.items() if result and "top1" in result]


def time_spent(results: Mapping[str, Any]) -> str:
    """A line on the seconds that each model's training took, and measuring all of them.

    Args:
        results: as for `rows`, with `seconds` of each model: `training`, None of one that came
            from a file, and `measuring`; both are of the call that did it.
    """
    spent = [(model_name(p, results), results[p]["seconds"]) for p in models(results)]
    trained = [(name, times["training"]) for name, times in spent if times["training"]]
    parts = ", ".join(f"{name} {time:,.0f}" for name, time in trained)
    measuring = sum(times["measuring"] for _, times in spent)
    in_all = sum(time for _, time in trained)
    return (
        f"Training took {in_all:,.0f} s ({parts}), evaluating, exporting and timing "
        f"{measuring:,.0f} s"
    )


def model_name(phase: str, results: Mapping[str, Any]) -> str:
    """What a person calls the model; without a teacher the student is not called distilled."""
    if phase == "teacher" and "teacher-1" in results:
        return "mean of the teachers"
    if "spec" in (results[phase] or {}):  # one of several students
        return f"{results[phase]['spec']}, {' + '.join(results[phase]['methods']) or 'alone'}"
    if phase == "student":
        before = sum(other.startswith("generation-") for other in results)
        taught = results.get("teacher") or results.get("teacher_cache")
        named = "student distilled" if taught else "student"
        return f"{named}, generation {before + 1}" if before else named
    return phase_names.shown(phase)


def _cells(result: Mapping[str, Any]) -> dict[str, str | None]:
    """What the table shows of a model, by column."""
    times = result["milliseconds_per_image"] or {}
    export = result.get("export")
    return {
        _TOP1: f"{result['top1']:.2%}".rstrip("%"),
        _TOP5: f"{result['top5']:.2%}".rstrip("%"),
        "params": f"{result['parameters']:,}",
        "saved\nMB": f"{export['megabytes']:.2f}" if export else None,
        _ALONE: _time(times, "batch1"),
        _BATCH: _time(times, "batch128"),
    }


def _time(times: Mapping[str, Any], batch: str) -> str | None:
    if batch not in times:
        return None
    spread = times.get("spread", {}).get(batch)  # runs of an earlier version have none
    median = _digits(times[batch], 3)
    return median if spread is None else f"{median} ±{_digits(spread, 1)}"


def _digits(value: float, digits: int) -> str:
    """A number >= 0 of so many significant digits, never with an exponent."""
    places = digits - 1 - math.floor(math.log10(value)) if value else 0
    return f"{value:,.{max(0, places)}f}"


def table(results: Mapping[str, Any], screen: Screen, title: str = "Results") -> None:
    """Shows the models side by side, within 80 columns."""
    screen.table(title, columns(results), rows(results))
    if _ALONE in columns(results):
        screen.say("ms/image: median ± half the interquartile range; equal networks are timed once")


def write_json(path: str | Path, data: Any) -> None:
    """Writes `data` as JSON, whole or not at all; numpy's numbers become JSON's.

    Raises:
        ValueError: a number in it is NaN or infinite, which JSON cannot hold.
        OSError: it could not be written; an earlier file stays.
    """
    text = json.dumps(data, indent=2, allow_nan=False, default=_plain)
    with atomic.in_place_of(Path(path)) as fresh:
        fresh.write_text(text + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.generic, np.ndarray)) else str(value)


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
