"""Compares an exported file, run by its own program, with the Keras model it was made from."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras.exports import saved_model
from kd_keras.exports.runtimes import Classifier
from kd_keras.exports.runtimes.scores import Scores
from kd_keras.results.metrics import main_score, multi_label, statistics, timing
from kd_keras.results.terminal.screen import Screen

BATCH = 50
#: Loss of top-1, a fraction, from which on a line says what to do.
LARGE_LOSS = 0.01
# Headings; short two-line ones keep the table within 80 columns.
COLUMNS = (
    *("file", "same\n%", "top-1\n%", "its change\n(95 %)", "largest\ndiff."),
    *("ms\n(1)", "ms\n(128)", "MB"),
)
LEGEND = (
    "same: images with the Keras model's top-1 class; its change: 95 % interval in",
    "points; diff.: of a probability; ms: per image, in batches of 1 and of 128",
)
#: The legend where an image may have several classes.
LEGEND_OF_SEVERAL = (
    "same: answers, class by class, as the Keras model's; its change: 95 % interval in",
    LEGEND[1],
)


@dataclasses.dataclass(frozen=True)
class Reference:
    """The outputs of the Keras model.

    Attributes:
        images: uint8 (N, H, W, C).
        labels: (N,) int; None if the images are noise.
        scores: scores of the Keras model, (N, classes).
        is_logits: whether the model gives logits; else its logits are computed from probabilities.
        multi_label: whether an image may have several classes; labels are then (N, C) of 0 and 1.
    """

    images: np.ndarray
    labels: np.ndarray | None
    scores: Scores
    is_logits: bool
    multi_label: bool = False


def in_batches(classify: Callable[[np.ndarray], Scores], images: np.ndarray) -> Scores:
    """The scores of all images, computed `BATCH` at a time.

    Args:
        classify: from (B, H, W, C) uint8 images to their scores.
        images: (N, H, W, C) uint8.
    """
    batches = [classify(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
    logits, probabilities = (np.concatenate(batch) for batch in zip(*batches, strict=True))
    return Scores(logits, probabilities)


def compare_answers(
    classifier: Classifier, reference: Reference, *, must_be_exact: bool
) -> dict[str, Any]:
    """How a file's answers differ from the Keras model's, on the reference's images.

    Args:
        classifier: the file in its own program.
        reference: what the Keras model answers.
        must_be_exact: whether the file must give the model's numbers, up to float32's rounding.

    Returns:
        `images` (their number), `agreement` (share with the same top-1 class),
        `max_abs_difference` (of probabilities) and, with labels, `top1` and `change` with `low`
        and `high`: top-1 minus the Keras model's with its 95 % interval; fractions. Where an image
        may have several classes, `agreement` is the share of equal answers, N times C, and `map`
        is in place of `top1`.

    Raises:
        ValueError: the file gives NaN, a different number of classes or, with `must_be_exact`,
            different numbers.
    """
    scores = in_batches(classifier, reference.images)
    _check(scores, reference, classifier, must_be_exact=must_be_exact)
    answers, keras_answers = (
        _answers(model_scores, reference) for model_scores in (scores, reference.scores)
    )
    entry = {
        "images": len(answers),
        "agreement": float(np.mean(answers == keras_answers)),
        "max_abs_difference": _difference(scores.probabilities, reference.scores.probabilities),
    }
    if reference.labels is None:
        return entry
    if reference.multi_label:
        pair = scores.logits, reference.scores.logits
        change, low, high = multi_label.difference(reference.labels, *pair, seed=0)
        value = multi_label.mean_average_precision(reference.labels, scores.logits)
        return {**entry, "map": value, "change": change, "low": low, "high": high}
    is_right, keras_is_right = answers == reference.labels, keras_answers == reference.labels
    change, low, high = statistics.bootstrap_interval(is_right, keras_is_right, seed=0)
    return {**entry, "top1": float(is_right.mean()), "change": change, "low": low, "high": high}


def reference_entry(
    classify: Callable[[np.ndarray], Scores], reference: Reference, path: Path | None
) -> dict[str, Any]:
    """The Keras model's own entry: `top1` or `map`, with labels, and its `cost`.

    Args:
        classify: the Keras model, from (B, H, W, C) uint8 images to scores.
        reference: its answers, and the labels.
        path: its file; None: its size is unknown.
    """
    entry = cost(classify, path, reference.images)
    if reference.labels is None:
        return entry
    if reference.multi_label:
        logits = reference.scores.logits
        return {"map": multi_label.mean_average_precision(reference.labels, logits), **entry}
    is_right = reference.scores.logits.argmax(axis=-1) == reference.labels
    return {"top1": float(is_right.mean()), **entry}


def cost(
    classify: Callable[[np.ndarray], Scores], path: Path | None, images: np.ndarray
) -> dict[str, Any]:
    """`megabytes` of a file or folder, and `milliseconds_per_image` (see `timing.latency`).

    Args:
        classify: from (B, H, W, C) uint8 images to their scores.
        path: the file or folder; None: its size is unknown.
        images: (N, H, W, C) uint8, which are repeated for larger batches.
    """

    def batch(num_images: int) -> np.ndarray:
        return np.resize(images, (num_images, *images.shape[1:]))

    return {
        "megabytes": None if path is None else saved_model.megabytes(path),
        "milliseconds_per_image": timing.latency(lambda images: classify(images).logits, batch),
    }


def show(title: str, entries: dict[str, dict[str, Any]], screen: Screen) -> None:
    """Shows a table with a line for each file, by name; the first one is the Keras file."""
    is_multi_label = main_score.score_of_results(entries) is main_score.MAP
    columns = [
        heading.replace("top-1", "mAP") if is_multi_label else heading for heading in COLUMNS
    ]
    screen.table(title, columns, [[name, *_cells(entry)] for name, entry in entries.items()])
    for line in LEGEND_OF_SEVERAL if is_multi_label else LEGEND:
        screen.say(line)


def losses(entries: dict[str, dict[str, Any]]) -> list[str]:
    """A line for each file that is less accurate by more than a point, saying what to do."""
    return [
        f"{name} loses {-100 * entry['change']:.1f} points of {_score(entry).name} (95 % interval: "
        f"{-100 * entry['high']:.1f} to {-100 * entry['low']:.1f}). {_remedy(entry)}"
        for name, entry in entries.items()
        if entry.get("change", 0) < -LARGE_LOSS and entry["high"] < 0
    ]


def _score(entry: dict[str, Any]) -> main_score.Score:
    return main_score.score_of_results({"": entry})


def _answers(scores: Scores, reference: Reference) -> np.ndarray:
    """The class of each image, (N,) int; or whether it has each class, (N, C)."""
    if reference.multi_label:
        return multi_label.decisions(scores.logits)
    return np.asarray(scores.logits.argmax(axis=-1))


def _remedy(entry: dict[str, Any]) -> str:
    if entry.get("quantize") == "int8":
        return (
            f"Try more calibration images (--calibration-images; it had "
            f"{entry['calibration_images']:,}), or --quantize float16. Depthwise convolutions lose "
            "most in 8 bits: a student without them, such as resnet8, may end up more accurate."
        )
    return "Use --quantize none."


def _check(
    scores: Scores, reference: Reference, classifier: Classifier, *, must_be_exact: bool
) -> None:
    keras_scores, name = reference.scores, classifier.path.name
    if scores.probabilities.shape != keras_scores.probabilities.shape:
        raise ValueError(
            f"{name} gives scores of shape {scores.probabilities.shape}; expected "
            f"{keras_scores.probabilities.shape}. Report this: its conversion went wrong."
        )
    if not all(np.isfinite(array).all() for array in scores):
        raise ValueError(
            f"{name} gives scores that are NaN or infinite; expected finite ones. "
            "The model's numbers do not fit this precision: choose another with --quantize."
        )
    if not must_be_exact:
        return
    pairs = [(scores.probabilities, keras_scores.probabilities)]
    pairs += [(scores.logits, keras_scores.logits)] if reference.is_logits else []
    for output, keras_output in pairs:
        allowed_difference = saved_model.TOLERANCE * max(1.0, float(np.abs(keras_output).max()))
        if not (difference := _difference(output, keras_output)) <= allowed_difference:
            raise ValueError(
                f"{name} differs by {difference:g} from the Keras model; expected at most "
                f"{allowed_difference:g}. Look for layers whose output changes between calls."
            )


def _difference(output: np.ndarray, keras_output: np.ndarray) -> float:
    return float(np.abs(output - keras_output).max())


def _cells(entry: dict[str, Any]) -> Sequence[str | None]:
    times, score = entry["milliseconds_per_image"], _score(entry)
    return (
        f"{100 * entry['agreement']:.1f}" if "agreement" in entry else None,
        f"{100 * entry[score.key]:.1f}" if score.key in entry else None,
        _change(entry) if "change" in entry else None,
        f"{entry['max_abs_difference']:.1g}" if "max_abs_difference" in entry else None,
        f"{times['batch1']:.2f}",
        f"{times['batch128']:.2f}",
        None if entry["megabytes"] is None else f"{entry['megabytes']:.2f}",
    )


def _change(entry: dict[str, Any]) -> str:
    return f"{100 * entry['low']:+.1f} to {100 * entry['high']:+.1f}"
