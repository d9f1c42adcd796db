"""What the student gained class by class, and which classes it takes for each other."""

from pathlib import Path

import numpy as np

from kd_keras.results.page.page_elements import Element, Section, Table, Text
from kd_keras.results.report import class_plots
from kd_keras.results.report.answers import Answers, column_names, compared_name
from kd_keras.results.report.finished_run import FinishedRun

_MATRIX = 20  # classes; with more, cells of the confusion matrix are too small
_PAIRS = 10
_EXTREMES = 8


def section(run: FinishedRun, folder: Path | None) -> Section:
    """Gain of each class, sorted; confusions that left and that stayed; the confusion matrix."""
    answers = _answers(run)
    if answers is None:
        return Section("classes", "Class by class", [Text(_why_not(run))])
    elements: list[Element] = [
        Text(_summary(run, answers)),
        class_plots.gains(run, answers, folder),
    ]
    if answers.num_classes <= _MATRIX:
        elements.append(class_plots.matrix(run, answers, folder))
    if answers.num_classes > class_plots.NAMED:
        elements.append(_extremes(run, answers))
    elements += _pairs(run, answers)
    elements.append(_all_classes(run, answers))
    return Section("classes", "Class by class", elements)


def _answers(run: FinishedRun) -> Answers | None:
    student_classes = run.predictions(run.student)
    other_classes = None if run.reference is None else run.predictions(run.reference)
    if student_classes is None or other_classes is None or run.labels is None:
        return None
    if not len(student_classes) == len(other_classes) == len(run.labels):
        return None
    classes = run.results.get("data", {}).get("classes")
    num_known = len(run.data.class_names) if run.data else classes
    num_classes = (
        num_known or int(max(student_classes.max(), other_classes.max(), run.labels.max())) + 1
    )
    return Answers(run.labels, student_classes, other_classes, num_classes)


def _why_not(run: FinishedRun) -> str:
    if run.reference is None:
        return (
            "There is nothing to compare the student with: the run has no baseline and no measured "
            "teacher. Run the command again with --baseline."
        )
    return "This run has no saved labels or predictions: an earlier version made it."


def _summary(run: FinishedRun, answers: Answers) -> str:
    gain = answers.gain()
    num_better, num_worse = int(np.sum(gain > 0)), int(np.sum(gain < 0))
    num_fixed = int(
        np.sum(
            (answers.student_classes == answers.labels) & (answers.other_classes != answers.labels)
        )
    )
    num_lost = int(
        np.sum(
            (answers.student_classes != answers.labels) & (answers.other_classes == answers.labels)
        )
    )
    return (
        f"Against the {compared_name(run)}, the {run.name_in_text(run.student)} is better on "
        f"{num_better} classes and worse on {num_worse} of {answers.num_classes}. It is right on "
        f"{num_fixed:,} images that the other has wrong, and wrong on {num_lost:,} that the other "
        "has right."
    )


def _extremes(run: FinishedRun, answers: Answers) -> Table:
    gain, recalls = answers.gain(), [answers.recall(p) for p in answers.predictions]
    order = [label for label in np.argsort(-gain, kind="stable") if np.isfinite(gain[label])]
    extremes = [*order[:_EXTREMES], None, *order[-_EXTREMES:]]
    rows = [
        ["…", None, None, None]
        if label is None
        else [
            run.class_name(int(label)),
            *(f"{100 * recall[label]:.0f}" for recall in recalls[::-1]),
            f"{100 * gain[label]:+.0f}",
        ]
        for label in extremes
    ]
    columns = ["class", *(f"{name} %" for name in column_names(run)), "gain, points"]
    return Table(columns, rows, "Classes that gained and that lost most")


def _pairs(run: FinishedRun, answers: Answers) -> list[Element]:
    other_confusions, student_confusions = (
        answers.confusion(p) for p in (answers.other_classes, answers.student_classes)
    )
    np.fill_diagonal(other_confusions, 0)
    np.fill_diagonal(student_confusions, 0)
    # A pair of classes is in one table: it left or came if half of its images did, or more.
    has_left, has_come = (
        2 * student_confusions <= other_confusions,
        2 * other_confusions <= student_confusions,
    )
    tables: list[Element] = []
    for title, value in (
        ("Confusions that left", np.where(has_left, other_confusions - student_confusions, 0)),
        (
            "Confusions that stayed",
            np.where(has_left | has_come, 0, np.minimum(other_confusions, student_confusions)),
        ),
        ("Confusions that came", np.where(has_come, student_confusions - other_confusions, 0)),
    ):
        order = np.argsort(-value, axis=None, kind="stable")[:_PAIRS]
        pairs = [divmod(int(index), answers.num_classes) for index in order if value.flat[index]]
        rows = [
            [
                *(run.class_name(label) for label in pair),
                *(int(table[pair]) for table in (other_confusions, student_confusions)),
            ]
            for pair in pairs
        ]
        if rows:
            columns = ["truth", "predicted", *column_names(run)]
            tables.append(Table(columns, rows, f"{title} (images)", left=["predicted"]))
    confusions = student_confusions + student_confusions.T
    order = np.argsort(-np.triu(confusions), axis=None, kind="stable")[:_PAIRS]
    pair_rows = [
        [
            f"{run.class_name(a)} and {run.class_name(b)}",
            int(student_confusions[a, b]),
            int(student_confusions[b, a]),
        ]
        for a, b in (divmod(int(index), answers.num_classes) for index in order)
        if confusions[a, b]
    ]
    if pair_rows and answers.num_classes > 2:
        columns = ["pair of classes", "first taken for second", "second for first"]
        caption = f"Pairs that the {run.name_in_text(run.student)} confuses most (images)"
        tables.append(Table(columns, pair_rows, caption))
    return tables


def _all_classes(run: FinishedRun, answers: Answers) -> Table:
    images = np.bincount(answers.labels, minlength=answers.num_classes)
    recalls = [answers.recall(p) for p in (answers.other_classes, answers.student_classes)]
    rows = [
        [run.class_name(label), int(images[label]), *(f"{100 * r[label]:.1f}" for r in recalls)]
        for label in range(answers.num_classes)
        if images[label]
    ]
    columns = ["class", "images", *(f"{name} %" for name in column_names(run))]
    summary = f"Accuracy of all {len(rows)} classes"
    return Table(columns, rows, summary=summary)
