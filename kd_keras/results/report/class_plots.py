"""Plots of the section on classes: the gain of each class, and the confusion matrix."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras.results.page import drawing, plots
from kd_keras.results.page.page_elements import Plot
from kd_keras.results.report.answers import Answers, column_names, compared_name
from kd_keras.results.report.finished_run import FinishedRun

NAMED = 24  # classes; with more, bars have no names
_NUMBERED = 12  # classes; with more, cells of the confusion matrix have no numbers
_ROW = 0.22  # inches


def gains(run: FinishedRun, answers: Answers, folder: Path | None) -> Plot:
    """Bars of the gain of each class with images, most gained first."""
    gain = 100 * answers.gain()
    order = [int(label) for label in np.argsort(-gain, kind="stable") if np.isfinite(gain[label])]
    is_named = len(order) <= NAMED
    names = [drawing.shortened(run.class_name(label), 18) for label in order] if is_named else None
    recalls = [answers.recall(predicted_classes) for predicted_classes in answers.predictions]
    return plots.plot(
        "class-gains",
        functools.partial(_paint_gains, gain=gain[order], names=names),
        caption=f"Gain of each class over the {compared_name(run)}: accuracy on its "
        "images, in points.",
        columns=["class", *column_names(run)[::-1]],
        rows=[
            [run.class_name(label), *(float(recall[label]) for recall in recalls)]
            for label in order
        ],
        folder=folder,
        height=max(plots.HEIGHT, 0.7 + _ROW * len(order)) if is_named else plots.HEIGHT,
    )


def _paint_gains(figure: Any, *, gain: np.ndarray, names: Sequence[str] | None) -> None:
    """Horizontal bars with names, or thin vertical ones without."""
    axes = figure.subplots()
    positions = np.arange(len(gain))
    for look, mask in ((plots.look(2), gain >= 0), (plots.look(1), gain < 0)):
        if names is None:
            axes.bar(positions[mask], gain[mask], 1.0, color=look.color, ec=look.color, lw=0.3)
        else:
            style = {"color": look.color, "edgecolor": plots.INK, "linewidth": 0.6}
            axes.barh(positions[mask], gain[mask], 0.75, hatch=look.hatch, **style)
    if names is None:
        axes.axhline(0, color=plots.INK, linewidth=0.8)
        axes.set(xlabel="classes, most gained first", ylabel="gain (points)")
        axes.set_xlim(-1, len(gain))
    else:
        axes.set_yticks(positions, names)
        axes.invert_yaxis()
        axes.axvline(0, color=plots.INK, linewidth=0.8)
        axes.set(xlabel="gain (points of the class's accuracy)")
    _at_least(axes, has_names=names is not None)


def _at_least(axes: Any, *, has_names: bool) -> None:
    """Keeps the axis of gains from becoming tiny where nothing was gained."""
    low, high = axes.get_xlim() if has_names else axes.get_ylim()
    if high - low < 2:
        (axes.set_xlim if has_names else axes.set_ylim)(min(low, -1), max(high, 1))


def matrix(run: FinishedRun, answers: Answers, folder: Path | None) -> Plot:
    """The student's confusions; squares of an area by their share of the class."""
    confusions = answers.confusion(answers.student_classes)
    names = [run.class_name(label) for label in range(answers.num_classes)]
    return plots.plot(
        "confusion-matrix",
        functools.partial(_paint_matrix, confusions=confusions, names=names),
        caption=f"Confusions of the {run.name_in_text(run.student)}: area is the share of the "
        "class, the number is images. Off the diagonal are errors.",
        columns=["truth", *names],
        rows=[[name, *map(int, row)] for name, row in zip(names, confusions, strict=True)],
        folder=folder,
        height=max(4.2, plots.HEIGHT),
    )


def _paint_matrix(figure: Any, *, confusions: np.ndarray, names: Sequence[str]) -> None:
    axes = figure.subplots()
    shares = confusions / np.maximum(confusions.sum(axis=1, keepdims=True), 1)
    for label, predicted_label in zip(*np.nonzero(confusions), strict=True):
        side = max(0.2, 0.95 * float(np.sqrt(shares[label, predicted_label])))
        _add_square(axes, label, predicted_label, side)
        if len(names) <= _NUMBERED:
            _add_number(axes, label, predicted_label, side, str(confusions[label, predicted_label]))
    ticks = range(len(names))
    short_names = [drawing.shortened(name, 10) for name in names]
    longest_name = max(map(len, short_names))
    axes.set_xticks(ticks, short_names, rotation=90 if longest_name > 2 else 0)
    axes.set_yticks(ticks, short_names)
    axes.set(xlabel="predicted", ylabel="truth", aspect="equal")
    axes.set(xlim=(-0.6, len(names) - 0.4), ylim=(len(names) - 0.4, -0.6))


def _add_square(axes: Any, label: int, predicted_label: int, side: float) -> None:
    is_right = label == predicted_label
    look = plots.look(2 if is_right else 1)
    corner = (predicted_label - side / 2, label - side / 2)
    axes.add_patch(
        plots.rectangle(corner, side, color=look.color, hatch=None if is_right else "////")
    )


def _add_number(axes: Any, label: int, predicted_label: int, side: float, text: str) -> None:
    """The number of images: in the square if the prediction is right, else above it."""
    style = {"ha": "center", "fontsize": 7}
    if label == predicted_label:
        axes.text(predicted_label, label, text, va="center", color="white", **style)
    else:
        text_y = label - side / 2 - 0.02
        axes.text(predicted_label, text_y, text, va="bottom", color=plots.INK, **style)
