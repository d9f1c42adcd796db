"""Precision, recall and F1 of each class, and how often each is confused with another."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras.results import csv_table

COLUMNS = ("class", "precision", "recall", "f1", "support", "predicted", "most often taken for")


@dataclasses.dataclass(frozen=True)
class ClassRow:
    """One class; shares are 0 to 1.

    Attributes:
        name: name of the class.
        precision: share of the images given this class that have it; None if none was given it.
        recall: share of the class's images that were given it; None if it has no images.
        f1: 2 TP / (2 TP + FP + FN); None if the class has no images and none was given it.
        support: images of the class.
        predicted: images that were given the class.
        taken_for: the other class that its images are given most often; "" if none is.
    """

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int
    predicted: int
    taken_for: str


def confusion_matrix(
    labels: np.ndarray, predicted_classes: np.ndarray, num_classes: int
) -> np.ndarray:
    """(C, C) int64: images by true class (row) and predicted class (column).

    Args:
        labels: (N,) int, true classes.
        predicted_classes: (N,) int.
        num_classes: C.
    """
    from sklearn import metrics

    matrix: np.ndarray = metrics.confusion_matrix(
        labels, predicted_classes, labels=np.arange(num_classes)
    )
    return matrix.astype(np.int64)


def rows(
    labels: np.ndarray, predicted_classes: np.ndarray, class_names: Sequence[str]
) -> tuple[ClassRow, ...]:
    """One row for each class.

    Args:
        labels: (N,) int, N at least 1.
        predicted_classes: (N,) int.
        class_names: C names.
    """
    from sklearn import metrics

    classes = np.arange(len(class_names))
    scores = metrics.precision_recall_fscore_support(
        labels, predicted_classes, labels=classes, zero_division=np.nan
    )
    precision, recall, f1, support = (np.asarray(score).tolist() for score in scores)
    confusions = confusion_matrix(labels, predicted_classes, len(classes))
    predicted_counts = confusions.sum(axis=0).tolist()
    np.fill_diagonal(confusions, 0)
    return tuple(
        ClassRow(
            name,
            _number(precision[index]),
            _number(recall[index]),
            _number(f1[index]),
            int(support[index]),
            int(predicted_counts[index]),
            class_names[confusions[index].argmax()] if confusions[index].any() else "",
        )
        for index, name in enumerate(class_names)
    )


def macro(rows: Sequence[ClassRow], score: str) -> float:
    """Mean of "precision", "recall" or "f1" over the classes that have it.

    Args:
        rows: rows from `rows`, one for each class.
        score: "precision", "recall" or "f1".
    """
    values = [value for row in rows if (value := getattr(row, score)) is not None]
    return float(np.mean(values))


def write(path: Path, rows: Sequence[ClassRow]) -> None:
    """Writes the rows as CSV."""
    csv_table.write(path, COLUMNS, [dataclasses.astuple(row) for row in rows])


def format_row(row: ClassRow) -> list[Any]:
    """A row for a table: percentages; None where a score does not exist."""
    percents = [
        None if v is None else f"{100 * v:.1f}" for v in (row.precision, row.recall, row.f1)
    ]
    return [row.name, *percents, f"{row.support:,}", row.taken_for]


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
