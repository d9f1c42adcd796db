"""Is distillation happening? Agreement with the teacher, divergence, gradient of each term."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras.results.metrics import agreement, multi_label
from kd_keras.results.page import drawing, plots
from kd_keras.results.page.page_elements import Element, Plot, Section, Table, Text
from kd_keras.results.phase_names import has_unmeasured_teacher
from kd_keras.results.report.curves_section import stacked
from kd_keras.results.report.finished_run import FinishedRun

GRADIENT = "_gradient_norm"
_WEAK, _STRONG = 0.02, 0.98  # shares of the gradient, beyond which one term hardly counts


def section(run: FinishedRun, folder: Path | None) -> Section:
    """Agreement of student and teacher, and the gradient norm of each loss term."""
    title = "Is distillation happening?"
    if run.teacher is None and not has_unmeasured_teacher(run.results):
        return Section("teaching", title, [Text("This run has no teacher.")])
    plot_elements = _agreement_by_epoch(run, folder), _gradients(run, folder)
    rows = [row for phase in run.phases if phase != run.teacher and (row := _row(run, phase))]
    elements: list[Element] = [element for element in plot_elements if element]
    if rows:
        elements.append(_table(run, rows))
    note = run.results[run.student].get("agreement_note")
    if note:
        elements.append(Text(f"On validation images it is unknown: {note}."))
    if not elements:
        elements.append(Text("This run has no numbers on its teacher: an earlier version made it."))
    return Section("teaching", title, [*map(Text, _summary(run)), *elements])


def _row(run: FinishedRun, phase: str) -> list[Any] | None:
    """Agreement, the agreement of independent models and the divergence of a model."""
    entry = run.results[phase]
    if "predictive_kl" in entry:  # with the model that taught it, which may be an assistant
        return [phase, *(entry.get(key) for key in _KEYS)]
    if run.teacher is None:
        return None
    pair = run.scores(phase), run.scores(run.teacher)
    if pair[0] is None or pair[1] is None or run.labels is None:
        top1_agreement = entry.get("agreement")
        return None if top1_agreement is None else [phase, top1_agreement, None, None]
    measurements = (
        multi_label.measure_agreement(pair[0], pair[1])
        if run.multi_label
        else agreement.measure_agreement(pair[0], pair[1], run.labels)
    )
    return [phase, *(measurements.get(key) for key in _KEYS)]


_KEYS = ("agreement", "agreement_if_independent", "predictive_kl")


def _table(run: FinishedRun, rows: Sequence[Sequence[Any]]) -> Table:
    bold_rows = [i for i, row in enumerate(rows) if row[0] == run.student]
    if run.multi_label:
        return Table(
            ["model", "agreement %", "KL, nats"],
            [[run.name(phase), f"{100 * share:.1f}", f"{kl:.3f}"] for phase, share, _, kl in rows],
            "Agreement with the teacher on validation images: share of all classes of all images "
            "for which both say the same; mean over classes of KL(teacher || model).",
            strong=bold_rows,
        )
    return Table(
        ["model", "agreement %", "if independent %", "KL, nats"],
        [
            [
                run.name(phase),
                f"{100 * share:.1f}",
                None if independent_share is None else f"{100 * independent_share:.1f}",
                None if kl is None else f"{kl:.3f}",
            ]
            for phase, share, independent_share, kl in rows
        ],
        "Agreement with the teacher on validation images; the agreement of two models with these "
        "accuracies whose errors have nothing to do with each other; KL(teacher || model).",
        strong=bold_rows,
    )


def _summary(run: FinishedRun) -> list[str]:
    lines = []
    rows = {phase: row for phase in run.phases if (row := _row(run, phase))}
    if run.student in rows and run.alone in rows:
        student_row, baseline_row = rows[run.student], rows[run.alone]
        answers = "classes of validation images" if run.multi_label else "validation images"
        lines.append(
            f"The student agrees with its teacher on {100 * student_row[1]:.1f} % of the "
            f"{answers}; trained alone, it does on {100 * baseline_row[1]:.1f} %."
        )
        if None not in (student_row[3], baseline_row[3]):
            comparison = "closer to" if student_row[3] < baseline_row[3] else "no closer to"
            lines[0] += (
                f" Its probabilities are {comparison} the teacher's: a divergence of "
                f"{student_row[3]:.3f} against {baseline_row[3]:.3f} nats."
            )
    shares = _gradient_shares(run)
    weak_terms = [name for name, values in shares.items() if values[-1] < _WEAK]
    if weak_terms:
        lines.append(
            f"The gradient of {' and '.join(weak_terms)} is below {100 * _WEAK:.0f} % of all at "
            "the end: it hardly trains the student. Raise its weight, or leave it out."
        )
    return lines


def _agreement_by_epoch(run: FinishedRun, folder: Path | None) -> Plot | None:
    history = run.history(run.student)
    names = {"agreement": "training images", "val_agreement": "validation images"}
    curves = {name: history[key] for key, name in names.items() if history.get(key)}
    if not curves:
        return None
    epochs = max(map(len, curves.values()))

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for index, (name, values) in enumerate(curves.items()):
            look = plots.look(2 + index)
            axes.plot(
                *(range(1, len(values) + 1), np.multiply(values, 100)),
                **{"color": look.color, "linestyle": look.line, "label": name},
                marker=look.marker if epochs <= 20 else None,
            )
        axes.set(xlabel="epoch", ylabel="agreement with the teacher (%)")
        drawing.whole_epochs(axes, epochs)
        drawing.legend_above(axes)

    return plots.plot(
        "agreement",
        paint,
        caption="Share of the images for which student and teacher rank the same class first.",
        columns=["epoch", *curves],
        rows=[[epoch + 1, *(v[epoch] for v in curves.values())] for epoch in range(epochs)],
        folder=folder,
    )


def _gradient_shares(run: FinishedRun) -> dict[str, list[float]]:
    """Each term's gradient norm as a share of their sum, by epoch; empty if not measured."""
    history = run.history(run.student)
    norms = {k.removesuffix(GRADIENT): v for k, v in history.items() if k.endswith(GRADIENT) and v}
    if len(norms) < 2:
        return {}
    sums = np.maximum(np.sum([*norms.values()], axis=0), 1e-30)
    return {name: list(np.divide(values, sums)) for name, values in norms.items()}


def _gradients(run: FinishedRun, folder: Path | None) -> Plot | None:
    shares = _gradient_shares(run)
    if not shares:
        return None
    caption = (
        "How strongly each weighted term pulls at the student: norm of its gradient, as a share of "
        "the sum of these norms."
    )
    label = "share of gradient norms (%)"
    return stacked("gradient-shares", shares, label=label, caption=caption, folder=folder)
