"""Average precision, F1 and number of images of each class, of multi-label data."""

from pathlib import Path
from typing import Any

import numpy as np

from kd_keras.results.metrics import multi_label
from kd_keras.results.metrics.multi_label import LabelRow
from kd_keras.results.page import drawing, plots
from kd_keras.results.page.page_elements import Element, Plot, Section, Table, Text
from kd_keras.results.report.finished_run import FinishedRun

MAX_DRAWN = 40  # classes; with more, the table alone
_ROW = 0.22  # inches


def section(run: FinishedRun, folder: Path | None) -> Section:
    """A plot of the classes' average precisions, and a table of each class's scores."""
    title, student_rows = "Class by class", _rows(run, run.student)
    if student_rows is None:
        explanation = "This run has no saved labels or scores. Train it again for its classes."
        return Section("classes", title, [Text(explanation)])
    compared_rows = None if run.reference is None else _rows(run, run.reference)
    elements: list[Element] = (
        [_plot(run, student_rows, compared_rows, folder)] if len(student_rows) <= MAX_DRAWN else []
    )
    return Section("classes", title, [*elements, _table(run, student_rows, compared_rows)])


def _rows(run: FinishedRun, phase: str) -> tuple[LabelRow, ...] | None:
    logits, labels = run.scores(phase), run.labels
    if logits is None or labels is None or labels.shape != logits.shape:
        return None
    names = [run.class_name(label) for label in range(labels.shape[1])]
    return multi_label.rows(labels, logits, names)


def _plot(
    run: FinishedRun,
    student_rows: tuple[LabelRow, ...],
    compared_rows: tuple[LabelRow, ...] | None,
    folder: Path | None,
) -> Plot:
    models = [(run.student, student_rows)]
    if compared_rows is not None and run.reference is not None:
        models.append((run.reference, compared_rows))
    positions = np.arange(len(student_rows))

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for number, (phase, rows) in enumerate(models):
            look = run.look(phase)
            values = [100 * (row.average_precision or 0.0) for row in rows]
            axes.barh(
                *(positions + 0.4 * number - 0.2 * (len(models) - 1), values, 0.38),
                **{"color": look.color, "hatch": look.hatch, "edgecolor": plots.INK},
                label=run.name(phase),
            )
        axes.set_yticks(positions, [drawing.shortened(row.name, 18) for row in student_rows])
        axes.invert_yaxis()
        axes.set(xlabel="average precision (%)", xlim=(0, 100))
        axes.grid(visible=False, axis="y")
        drawing.legend_above(axes)

    columns = [[row.average_precision for row in rows] for _, rows in models]
    return plots.plot(
        "class-average-precision",
        paint,
        caption="Average precision of each class on the validation images.",
        columns=["class", *(run.name(phase) for phase, _ in models)],
        rows=[
            list(line) for line in zip([row.name for row in student_rows], *columns, strict=True)
        ],
        folder=folder,
        height=max(plots.HEIGHT, 0.9 + _ROW * len(student_rows) * len(models)),
    )


def _table(
    run: FinishedRun, student_rows: tuple[LabelRow, ...], compared_rows: tuple[LabelRow, ...] | None
) -> Table:
    columns = ["class", "images", "AP %", "precision %", "recall %", "F1 %"]
    rows = [
        [
            row.name,
            f"{row.positives:,}",
            *map(_percent, (row.average_precision, row.precision, row.recall, row.f1)),
        ]
        for row in student_rows
    ]
    if compared_rows is not None and run.reference is not None:
        columns.append(f"AP % of the {run.name_in_text(run.reference)}")
        rows = [
            [*row, _percent(compared_row.average_precision)]
            for row, compared_row in zip(rows, compared_rows, strict=True)
        ]
    threshold = f"{100 * multi_label.THRESHOLD:.0f} %"
    caption = (
        f"The {run.name_in_text(run.student)} on the validation images. AP: average precision of "
        f"the images ranked by the class's probability; the others count answers of {threshold} or "
        "more. Images: those that have the class."
    )
    return Table(columns, rows, caption)


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.1f}"
