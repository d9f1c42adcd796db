"""An evaluation as lines and tables of at most 80 columns."""

import math
from collections.abc import Sequence
from typing import Any, TypeVar

from kd_keras.results.evaluation import class_report, confusion
from kd_keras.results.evaluation.evaluated_model import EvaluatedModel
from kd_keras.results.evaluation.evaluation import CLASSES, MATRIX, WRONG, Evaluation
from kd_keras.results.terminal import paths
from kd_keras.results.terminal.screen import Screen
from kd_keras.results.terminal.table import FEWEST_CLASSES_FOR_TOP5

Row = TypeVar("Row")

ALL_CLASSES = 20  # with more classes, the table shows the worst ones
WORST = 10
_LONGEST_NAME = 20


def show(evaluation: Evaluation, screen: Screen) -> None:
    """Shows the numbers, the classes (the worst ones if there are many) and the files' paths."""
    screen.table("Accuracy and cost", ["", evaluation.model.name], _rows(evaluation))
    screen.say("")
    _show_classes(evaluation, screen)
    screen.say("")
    pairs = confusion.worst_pairs(evaluation.matrix, num_pairs=3)
    names = evaluation.class_names
    if pairs:
        pair_list = ", ".join(f"{names[a]} for {names[b]} ({times})" for a, b, times in pairs)
        screen.say(f"most often mistaken: {pair_list}")
    files = f"{MATRIX}.png and .csv, {CLASSES}.csv, {_wrong_images_text(evaluation)}"
    show_end(evaluation, files, screen)


def show_end(evaluation: EvaluatedModel, files: str, screen: Screen) -> None:
    """Shows the notes, and the folder of the files that `files` names."""
    for note in evaluation.notes:
        screen.say(note)
    if evaluation.folder is not None:
        screen.result(f"written to {paths.short_path(evaluation.folder)}:")
        screen.say(f"  {files}")


def _rows(evaluation: Evaluation) -> list[list[str]]:
    low, high = evaluation.top1_interval
    rows = [
        ["top-1 accuracy", f"{evaluation.top1:.2%}"],
        ["  95 % interval over images", f"{low:.2%} to {high:.2%}"],
    ]
    if len(evaluation.class_names) >= FEWEST_CLASSES_FOR_TOP5:
        rows.append(["top-5 accuracy", f"{evaluation.top5:.2%}"])
    rows += [
        ["macro F1", f"{evaluation.macro_f1:.2%}"],
        ["calibration error (ECE)", f"{evaluation.ece:.2%}"],
    ]
    if evaluation.teacher is not None:
        rows += [
            ["top-1 accuracy of the teacher", f"{evaluation.teacher['top1']:.2%}"],
            ["agreement with the teacher", f"{evaluation.teacher['agreement']:.2%}"],
        ]
    return [*rows, *cost_rows(evaluation)]


def cost_rows(evaluation: EvaluatedModel) -> list[list[str]]:
    """Time, size, parameters and multiply-adds of an evaluated model, for the table."""
    times = evaluation.milliseconds_per_image or {}
    rows = [
        [f"ms/image, batch {size}", f"{times[key]:.3g} ± {times['spread'][key]:.1g}"]
        for size in (1, 128)
        if (key := f"batch{size}") in times
    ]
    rows.append(["size on disk", f"{evaluation.megabytes:.2f} MB"])
    for name in ("parameters", "multiply_adds"):
        number = getattr(evaluation, name)
        text = "unknown" if number is None else f"{number:,}"
        rows.append([name.replace("_", "-"), text])
    return rows


def _show_classes(evaluation: Evaluation, screen: Screen) -> None:
    rows, title = shown_classes(evaluation.per_class, "f1", "F1")
    columns = ["class", "precision\n%", "recall\n%", "F1\n%", "images", "taken for"]
    cells: list[list[Any]] = [class_report.format_row(row) for row in rows]
    for row in cells:
        row[0], row[-1] = shortened(row[0]), shortened(row[-1])
    screen.table(title, columns, cells)


def shown_classes(rows: Sequence[Row], score: str, name: str) -> tuple[Sequence[Row], str]:
    """The rows of a table of classes, and its title; of many classes, those that score lowest.

    Args:
        rows: one for each class.
        score: attribute of a row by which they are sorted; classes without one come last.
        name: name of this score, for the title.
    """
    if len(rows) <= ALL_CLASSES:
        return rows, "Classes"

    def key(row: Row) -> float:
        value: float | None = getattr(row, score)
        return math.inf if value is None else value

    title = f"The {WORST} classes with the lowest {name}, of {len(rows)}"
    return sorted(rows, key=key)[:WORST], title


def shortened(name: str) -> str:
    """A class name that fits into a column."""
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _wrong_images_text(evaluation: Evaluation) -> str:
    num_wrong = len(evaluation.wrong)
    if not num_wrong:
        return "and no wrong images"
    return f"{WRONG}.csv and .png ({num_wrong:,} wrong images)"
