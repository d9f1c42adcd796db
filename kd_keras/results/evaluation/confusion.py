"""The confusion matrix as a picture and as CSV, readable for 2 classes and for hundreds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras import files
from kd_keras.results import csv_table
from kd_keras.results.page import plots

_DPI = 110
_MAX_WITH_NUMBERS = 30  # classes for which a cell has room for its number of images
_MAX_NAMED = 250  # classes for which each row has room for its name
_LONGEST_NAME = 22
_WIDTH_OF_LETTER = 0.65  # of the font's size
_DARK = 0.55  # share of a row above which its number is written in white


def picture(path: Path, matrix: np.ndarray, class_names: Sequence[str], *, title: str) -> None:
    """Draws the matrix as a PNG: the darker a cell, the larger its share of its row.

    Args:
        path: file to write.
        matrix: (C, C) int, images by true class (row) and predicted class (column).
        class_names: C names.
        title: line above it.
    """
    import matplotlib
    from matplotlib.figure import Figure

    num_classes = len(class_names)
    cell = _inches_per_class(num_classes)
    side = cell * num_classes
    names = [_short_name(name) for name in class_names] if num_classes <= _MAX_NAMED else []
    font = max(4.5, min(10.0, 55 * cell))
    margin = 0.55 + font / 72 * _WIDTH_OF_LETTER * max(map(len, names), default=0)
    width, height = margin + side + 0.15, margin + side + 0.4
    with matplotlib.rc_context({"text.parse_math": False, "text.usetex": False}):
        # A layout of matplotlib's would measure each of hundreds of texts, several times.
        figure = Figure(figsize=(width, height))
        rectangle = (margin / width, margin / height, side / width, side / height)
        axes = figure.add_axes(rectangle)
        _draw(axes, matrix, names, font)
        figure.text(0.1 / width, 1 - 0.25 / height, title, fontsize=10)
        with files.atomic_write(path) as new_path:
            figure.savefig(new_path, format="png", dpi=_DPI, facecolor="white")


def write(path: Path, matrix: np.ndarray, class_names: Sequence[str]) -> None:
    """Writes the numbers of images as CSV: a row for each true class, a column for each answer.

    Args:
        path: the file.
        matrix: (C, C) int, images by true class (row) and predicted class (column).
        class_names: C names.
    """
    rows = ([name, *row.tolist()] for name, row in zip(class_names, matrix, strict=True))
    csv_table.write(path, ["true class \\ predicted", *class_names], rows)


def worst_pairs(matrix: np.ndarray, *, num_pairs: int) -> list[tuple[int, int, int]]:
    """(true class, predicted class, images) of the most frequent confusions, in order.

    Args:
        matrix: (C, C) int, images by true class (row) and predicted class (column).
        num_pairs: number of pairs at most.
    """
    confusions = matrix.copy()
    np.fill_diagonal(confusions, 0)
    order = np.argsort(-confusions, axis=None, kind="stable")[:num_pairs]
    pairs = [divmod(int(index), len(matrix)) for index in order]
    return [
        (row, column, int(confusions[row, column]))
        for row, column in pairs
        if confusions[row, column]
    ]


def _draw(axes: Any, matrix: np.ndarray, names: Sequence[str], font: float) -> None:
    support = matrix.sum(axis=1, keepdims=True)
    shares = matrix / np.maximum(support, 1)
    # Among many classes, most confusions are rare: they are drawn darker than their share.
    power = 1.0 if len(matrix) <= _MAX_WITH_NUMBERS else 0.4
    axes.imshow(shares**power, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xlabel("predicted class", fontsize=9)
    axes.set_ylabel("true class", fontsize=9)
    axes.tick_params(length=0)
    ticks = range(len(names))
    widest_name = max(map(len, names), default=0) * font * _WIDTH_OF_LETTER / 72
    is_horizontal = widest_name < _inches_per_class(len(matrix))
    axes.set_xticks(ticks, names, rotation=0 if is_horizontal else 90, fontsize=font)
    axes.set_yticks(ticks, names, fontsize=font)
    if len(matrix) > _MAX_WITH_NUMBERS:
        return
    axes.set_xticks(np.arange(len(matrix) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(matrix) - 1) + 0.5, minor=True)
    axes.tick_params(which="minor", length=0)
    axes.grid(which="minor", color=plots.LINE, linewidth=0.5)
    for row, column in np.argwhere(matrix):
        is_dark = shares[row, column] > _DARK
        color = "white" if is_dark else plots.INK
        text = f"{matrix[row, column]:,}"
        axes.text(column, row, text, ha="center", va="center", color=color, fontsize=font)


def _inches_per_class(num_classes: int) -> float:
    """A cell with a number needs more room than a coloured one; 200 classes make 16 inches."""
    if num_classes <= _MAX_WITH_NUMBERS:
        return max(0.33, min(1.2, 4.6 / num_classes))
    return 0.08 if num_classes <= _MAX_NAMED else 16 / num_classes


def _short_name(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
