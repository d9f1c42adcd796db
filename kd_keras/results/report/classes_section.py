"""What the student gained class by class, and which classes it takes for each other."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras.results.page import drawing, plots
from kd_keras.results.page.parts import Part, Plot, Section, Table, Text
from kd_keras.results.phase_names import has_unmeasured_teacher
from kd_keras.results.report.finished_run import FinishedRun

NAMED = 24  # classes; with more, bars have no names
_MATRIX = 20  # classes; with more, cells of the confusion matrix are too small
_PAIRS = 10
_EXTREMES = 8
_ROW = 0.22  # inches


@dataclasses.dataclass(frozen=True)
class Answers:
    """Predictions of two models on the same images.

    Attributes:
        labels, student_classes, other_classes: (N,) int; the student, and what it is compared with.
        classes: C.
    """

    labels: np.ndarray
    student_classes: np.ndarray
    other_classes: np.ndarray
    classes: int

    def recall(self, predicted: np.ndarray) -> np.ndarray:
        """(C,) share of each class's images that are named rightly; NaN without images."""
        images = np.bincount(self.labels, minlength=self.classes)
        right = np.bincount(self.labels[predicted == self.labels], minlength=self.classes)
        share = np.full(self.classes, np.nan)
        np.divide(right, images, out=share, where=images > 0)
        return share

    def confusion(self, predicted: np.ndarray) -> np.ndarray:
        """(C, C) number of images by label and predicted class."""
        counts = np.bincount(self.labels * self.classes + predicted, minlength=self.classes**2)
        return counts.reshape(self.classes, self.classes)


def section(run: FinishedRun, folder: Path | None) -> Section:
    """Gain of each class, sorted; confusions that left and that stayed; the confusion matrix."""
    answers = _answers(run)
    if answers is None:
        return Section("classes", "Class by class", [Text(_why_not(run))])
    parts: list[Part] = [Text(_summary(run, answers)), _gains(run, answers, folder)]
    if answers.classes <= _MATRIX:
        parts.append(_matrix(run, answers, folder))
    if answers.classes > NAMED:
        parts.append(_extremes(run, answers))
    parts += _pairs(run, answers)
    parts.append(_all(run, answers))
    return Section("classes", "Class by class", parts)


def _answers(run: FinishedRun) -> Answers | None:
    student_classes = run.predictions(run.student)
    other_classes = None if run.compared is None else run.predictions(run.compared)
    if student_classes is None or other_classes is None or run.labels is None:
        return None
    if not len(student_classes) == len(other_classes) == len(run.labels):
        return None
    classes = run.results.get("data", {}).get("classes")
    known = len(run.data.class_names) if run.data else classes
    count = known or int(max(student_classes.max(), other_classes.max(), run.labels.max())) + 1
    return Answers(run.labels, student_classes, other_classes, count)


def _why_not(run: FinishedRun) -> str:
    if run.compared is None:
        return (
            "There is nothing to compare the student with: the run has no baseline and no measured "
            "teacher. Run the command again with --baseline."
        )
    return "This run has no saved labels or predictions: an earlier version made it."


def _summary(run: FinishedRun, answers: Answers) -> str:
    gain = _gain(answers)
    better, worse = int(np.sum(gain > 0)), int(np.sum(gain < 0))
    fixed = int(
        np.sum(
            (answers.student_classes == answers.labels) & (answers.other_classes != answers.labels)
        )
    )
    lost = int(
        np.sum(
            (answers.student_classes != answers.labels) & (answers.other_classes == answers.labels)
        )
    )
    return (
        f"Against the {_called(run)}, the {run.called(run.student)} is better on {better} classes "
        f"and worse on {worse} of {answers.classes}. It is right on {fixed:,} images that the "
        f"other has wrong, and wrong on {lost:,} that the other has right."
    )


def _called(run: FinishedRun) -> str:
    return "" if run.compared is None else run.called(run.compared)


def _columns(run: FinishedRun) -> tuple[str, str]:
    """Headings of what the student is compared with, and of the student; short ones."""
    return "alone" if run.alone else "teacher", "distilled" if _is_distilled(run) else "student"


def _is_distilled(run: FinishedRun) -> bool:
    return bool(run.teacher or has_unmeasured_teacher(run.results))


def _gain(answers: Answers) -> np.ndarray:
    return np.asarray(
        answers.recall(answers.student_classes) - answers.recall(answers.other_classes)
    )


def _gains(run: FinishedRun, answers: Answers, folder: Path | None) -> Plot:
    gain = 100 * _gain(answers)
    order = [int(label) for label in np.argsort(-gain, kind="stable") if np.isfinite(gain[label])]
    named = len(order) <= NAMED

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        places = np.arange(len(order))
        for look, of in ((plots.look(2), gain[order] >= 0), (plots.look(1), gain[order] < 0)):
            ends = {"color": look.color, "edgecolor": plots.INK, "linewidth": 0.6}
            if named:
                axes.barh(places[of], gain[order][of], 0.75, hatch=look.hatch, **ends)
            else:
                axes.bar(places[of], gain[order][of], 1.0, color=look.color, ec=look.color, lw=0.3)
        if named:
            names = [drawing.shortened(run.class_name(label), 18) for label in order]
            axes.set_yticks(places, names)
            axes.invert_yaxis()
            axes.axvline(0, color=plots.INK, linewidth=0.8)
            axes.set(xlabel="gain (points of the class's accuracy)")
        else:
            axes.axhline(0, color=plots.INK, linewidth=0.8)
            axes.set(xlabel="classes, most gained first", ylabel="gain (points)")
            axes.set_xlim(-1, len(order))
        _at_least(axes, named)

    rows = [
        [
            run.class_name(label),
            *(float(answers.recall(p)[label]) for p in _both_predictions(answers)),
        ]
        for label in order
    ]
    return plots.plot(
        "class-gains",
        paint,
        caption=f"Gain of each class over the {_called(run)}: accuracy on its images, in points.",
        columns=["class", *_columns(run)[::-1]],
        rows=rows,
        folder=folder,
        height=max(plots.HEIGHT, 0.7 + _ROW * len(order)) if named else plots.HEIGHT,
    )


def _at_least(axes: Any, named: bool) -> None:
    """Keeps the axis of gains from becoming tiny where nothing was gained."""
    low, high = axes.get_xlim() if named else axes.get_ylim()
    if high - low < 2:
        (axes.set_xlim if named else axes.set_ylim)(min(low, -1), max(high, 1))


def _both_predictions(answers: Answers) -> tuple[np.ndarray, np.ndarray]:
    return answers.student_classes, answers.other_classes


def _matrix(run: FinishedRun, answers: Answers, folder: Path | None) -> Plot:
    """The student's confusions; squares of an area by their share of the class."""
    counts = answers.confusion(answers.student_classes)
    names = [drawing.shortened(run.class_name(label), 10) for label in range(answers.classes)]

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        for label, predicted in zip(*np.nonzero(counts), strict=True):
            share, right = shares[label, predicted], label == predicted
            look = plots.look(2 if right else 1)
            side = max(0.2, 0.95 * float(np.sqrt(share)))
            corner = (predicted - side / 2, label - side / 2)
            axes.add_patch(
                plots.rectangle(corner, side, color=look.color, hatch=None if right else "////")
            )
            if answers.classes <= 12:
                color = plots.INK if not right else "white"
                style = {"ha": "center", "va": "center", "fontsize": 7, "color": color}
                if right:
                    axes.text(predicted, label, str(counts[label, predicted]), **style)
                else:
                    axes.text(
                        predicted,
                        label - side / 2 - 0.02,
                        str(counts[label, predicted]),
                        **{**style, "va": "bottom"},
                    )
        places = range(answers.classes)
        longest = max(map(len, names))
        axes.set_xticks(places, names, rotation=90 if longest > 2 else 0)
        axes.set_yticks(places, names)
        axes.set(xlabel="predicted", ylabel="truth", aspect="equal")
        axes.set(xlim=(-0.6, answers.classes - 0.4), ylim=(answers.classes - 0.4, -0.6))

    labels = [run.class_name(label) for label in range(answers.classes)]
    return plots.plot(
        "confusion-matrix",
        paint,
        caption=f"Confusions of the {run.called(run.student)}: area is the share of the class, "
        "the number is images. Off the diagonal are errors.",
        columns=["truth", *labels],
        rows=[[labels[label], *map(int, row)] for label, row in enumerate(counts)],
        folder=folder,
        height=max(4.2, plots.HEIGHT),
    )


def _extremes(run: FinishedRun, answers: Answers) -> Table:
    gain, both = _gain(answers), [answers.recall(p) for p in _both_predictions(answers)]
    order = [label for label in np.argsort(-gain, kind="stable") if np.isfinite(gain[label])]
    extremes = [*order[:_EXTREMES], None, *order[-_EXTREMES:]]
    rows = [
        ["…", None, None, None]
        if label is None
        else [
            run.class_name(int(label)),
            *(f"{100 * recall[label]:.0f}" for recall in both[::-1]),
            f"{100 * gain[label]:+.0f}",
        ]
        for label in extremes
    ]
    columns = ["class", *(f"{name} %" for name in _columns(run)), "gain, points"]
    return Table(columns, rows, "Classes that gained and that lost most")


def _pairs(run: FinishedRun, answers: Answers) -> list[Part]:
    before, after = (answers.confusion(p) for p in (answers.other_classes, answers.student_classes))
    np.fill_diagonal(before, 0)
    np.fill_diagonal(after, 0)
    # A pair of classes is in one table: it left or came if half of its images did, or more.
    left, came = 2 * after <= before, 2 * before <= after
    tables: list[Part] = []
    for title, value in (
        ("Confusions that left", np.where(left, before - after, 0)),
        ("Confusions that stayed", np.where(left | came, 0, np.minimum(before, after))),
        ("Confusions that came", np.where(came, after - before, 0)),
    ):
        order = np.argsort(-value, axis=None, kind="stable")[:_PAIRS]
        pairs = [divmod(int(place), answers.classes) for place in order if value.flat[place]]
        rows = [
            [
                *(run.class_name(label) for label in pair),
                *(int(counts[pair]) for counts in (before, after)),
            ]
            for pair in pairs
        ]
        if rows:
            columns = ["truth", "predicted", *_columns(run)]
            tables.append(Table(columns, rows, f"{title} (images)", left=["predicted"]))
    both = after + after.T
    order = np.argsort(-np.triu(both), axis=None, kind="stable")[:_PAIRS]
    worst = [
        [f"{run.class_name(a)} and {run.class_name(b)}", int(after[a, b]), int(after[b, a])]
        for a, b in (divmod(int(place), answers.classes) for place in order)
        if both[a, b]
    ]
    if worst and answers.classes > 2:
        columns = ["pair of classes", "first taken for second", "second for first"]
        caption = f"Pairs that the {run.called(run.student)} confuses most (images)"
        tables.append(Table(columns, worst, caption))
    return tables


def _all(run: FinishedRun, answers: Answers) -> Table:
    images = np.bincount(answers.labels, minlength=answers.classes)
    recalls = [answers.recall(p) for p in (answers.other_classes, answers.student_classes)]
    rows = [
        [run.class_name(label), int(images[label]), *(f"{100 * r[label]:.1f}" for r in recalls)]
        for label in range(answers.classes)
        if images[label]
    ]
    columns = ["class", "images", *(f"{name} %" for name in _columns(run))]
    summary = f"Accuracy of all {len(rows)} classes"
    return Table(columns, rows, summary=summary)
