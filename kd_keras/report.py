"""What people look at, and the arithmetic that keeps it honest: tables, plots, intervals."""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras import atomic, check
from kd_keras.screen import Screen

COLUMNS = (
    "model",
    "top-1 %",
    "top-5 %",
    "parameters",
    "SavedModel MB",
    "ms/image, batch 1",
    "ms/image, batch 128",
)


def latency(
    predict: Callable[[np.ndarray], Any],
    make_batch: Callable[[int], np.ndarray],
    *,
    seconds: float = 0.5,
) -> dict[str, float]:
    """Median warm milliseconds an image, alone (`batch1`) and in batches of 128 (`batch128`).

    Args:
        predict: a compiled function; what it gives for a batch can be made an array.
        make_batch: number of images to a batch of them.
        seconds: about how long to measure each; five calls at least.
    """
    return {
        f"batch{images}": _median_milliseconds(predict, make_batch(images), seconds) / images
        for images in (1, 128)
    }


def _median_milliseconds(predict: Callable[..., Any], batch: np.ndarray, seconds: float) -> float:
    for _ in range(3):  # compiles, then warms the caches
        np.asarray(predict(batch))
    calls: list[float] = []
    while len(calls) < 5 or sum(calls) < seconds * 1e3:
        start = time.perf_counter()
        np.asarray(predict(batch))  # the copy waits for an accelerator
        calls.append((time.perf_counter() - start) * 1e3)
    return float(np.median(calls))


def rows(results: Mapping[str, Any]) -> list[list[str | None]]:
    """The lines of the closing table, one a model that is there; None where nothing is known.

    Args:
        results: by phase ("teacher", "teacher-1", "baseline", "assistant-1", "generation-1",
            "student"), in the order of the lines, None or a mapping of `top1`, `top5` (fractions),
            `parameters`, `milliseconds_per_image` (`batch1`, `batch128`) and, if it was exported,
            `export` (`megabytes`). What is no model ("data") is left out.
    """
    return [[model_name(phase, results), *_cells(results[phase])] for phase in models(results)]


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
    if phase == "teacher":
        return "mean of the teachers" if "teacher-1" in results else "teacher"
    if "spec" in (results[phase] or {}):  # one of several students
        return f"{results[phase]['spec']}, {' + '.join(results[phase]['methods']) or 'alone'}"
    if phase == "baseline":
        return "student alone"
    if phase == "student":
        before = sum(other.startswith("generation-") for other in results)
        taught = results.get("teacher") or results.get("teacher_cache")
        named = "student distilled" if taught else "student"
        return f"{named}, generation {before + 1}" if before else named
    return phase.replace("-", " ")


def _cells(result: Mapping[str, Any]) -> list[str | None]:
    milliseconds = result["milliseconds_per_image"]
    export = result.get("export")
    return [
        f"{result['top1']:.2%}".rstrip("%"),
        f"{result['top5']:.2%}".rstrip("%"),
        f"{result['parameters']:,}",
        f"{export['megabytes']:.2f}" if export else None,
        f"{milliseconds['batch1']:.3g}",
        f"{milliseconds['batch128']:.3g}",
    ]


def table(results: Mapping[str, Any], screen: Screen, title: str = "Results") -> None:
    """Shows the models side by side."""
    screen.table(title, COLUMNS, rows(results))


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


def plot_history(histories: Mapping[str, Mapping[str, Sequence[float]]], path: str | Path) -> None:
    """Draws validation top-1 and training cross-entropy by epoch, a line a model, as a PNG.

    Args:
        histories: name to Keras's history: `val_top1` (fractions) and `ce` (nats), a value an
            epoch; a key that is missing draws no line.
        path: where the PNG goes.
    """
    from matplotlib.figure import Figure  # without pyplot, which keeps figures and a display

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    top1, ce = figure.subplots(1, 2)
    for name, history in histories.items():
        for axes, key, scale in ((top1, "val_top1", 100.0), (ce, "ce", 1.0)):
            if values := history.get(key):
                epochs = range(1, len(values) + 1)
                axes.plot(epochs, np.multiply(values, scale), marker="o", ms=4, label=name)
    top1.set(xlabel="epoch", ylabel="top-1 accuracy on validation (%)")
    ce.set(xlabel="epoch", ylabel="cross-entropy on training (nats)")
    for axes in (top1, ce):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
    with atomic.in_place_of(Path(path)) as fresh:
        figure.savefig(fresh, format="png", dpi=150)


def grid(images: np.ndarray, columns: int) -> np.ndarray:
    """Lays images out row by row with a white line of one pixel between them.

    Args:
        images: uint8 (N, H, W, C), N at least 1.
        columns: images a row.

    Returns:
        uint8 (rows * (H + 1) - 1, columns * (W + 1) - 1, C); places without an image are white.
    """
    columns = check.whole_number("columns", columns, at_least=1)
    count, height, width, channels = images.shape
    lines = math.ceil(count / columns)
    cells = np.full((lines * columns, height + 1, width + 1, channels), 255, np.uint8)
    cells[:count, :height, :width] = images
    cells = cells.reshape(lines, columns, height + 1, width + 1, channels).swapaxes(1, 2)
    return cells.reshape(lines * (height + 1), columns * (width + 1), channels)[:-1, :-1]


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
