"""How the models learnt: accuracy by epoch, the terms of the loss, the learning rate."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras.results.page import drawing, plots
from kd_keras.results.page.page_elements import Element, Plot, Section, Text
from kd_keras.results.page.plots import Look
from kd_keras.results.report.finished_run import FinishedRun

SHARE_SUFFIX = "_share"  # as distill.step.log_names has it, without an import of Keras

_MANY = 20  # epochs; with more, markers would touch


def section(run: FinishedRun, folder: Path | None) -> Section:
    """Validation accuracy of all models on one axis; shares and values of the loss terms."""
    elements: list[Element] = []
    for key, name, label, caption in (
        ("val_top1", "learning-curves", "top-1 on validation (%)", _ACCURACY),
        ("val_map", "learning-curves", "mAP on validation (%)", _MAP),
        ("val_loss", "validation-loss", "cross-entropy on validation (nats)", _LOSS),
    ):
        if values_by_phase(run, key):
            elements.append(lines(run, key, name, label, caption, folder))
    elements += [element for element in (_shares(run, folder), _terms(run, folder)) if element]
    if max(map(len, values_by_phase(run, "learning_rate").values()), default=0) > 1:
        label = "learning rate"
        elements.append(lines(run, "learning_rate", "learning-rate", label, _RATE, folder))
    if not elements:
        elements.append(Text("No history of a training is in the run folder."))
    return Section("curves", "Learning curves", elements)


_ACCURACY = (
    "Accuracy of the deployed model after each epoch. A curve that still rises at its end asks for "
    "more epochs."
)
_MAP = (
    "Mean average precision of the deployed model after each epoch. A curve that still rises at "
    "its end asks for more epochs."
)
_LOSS = (
    "Cross-entropy with the labels. One that rises while accuracy does too is a model that becomes "
    "overconfident."
)
_RATE = "Learning rate after each epoch."


def values_by_phase(run: FinishedRun, key: str) -> dict[str, Sequence[float]]:
    """The values of `key` by phase, of the phases that have them."""
    histories = {phase: run.history(phase) for phase in run.phases}
    return {phase: history[key] for phase, history in histories.items() if history.get(key)}


def lines(
    run: FinishedRun, key: str, name: str, label: str, caption: str, folder: Path | None
) -> Plot:
    """A line for each model whose history has `key`, by epoch.

    Args:
        run: the finished run.
        key: name of a metric in the histories.
        name: name of the plot's files.
        label: title of the y axis.
        caption: text below the plot.
        folder: folder for the plot's files; None writes none.
    """
    curves = values_by_phase(run, key)
    scale = 100.0 if "(%)" in label else 1.0
    most_epochs = max(map(len, curves.values()))

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for phase, values in curves.items():
            look = run.look(phase)
            marks = None if most_epochs > _MANY else look.marker
            axes.plot(
                *(range(1, len(values) + 1), np.multiply(values, scale)),
                **{"color": look.color, "linestyle": look.line, "marker": marks},
                label=drawing.wrapped(run.name(phase), 24),
            )
        axes.set(xlabel="epoch", ylabel=label)
        drawing.whole_epochs(axes, most_epochs)
        drawing.legend_above(axes)

    rows = [
        [epoch + 1, *(values[epoch] if epoch < len(values) else None for values in curves.values())]
        for epoch in range(most_epochs)
    ]
    columns = ["epoch", *map(run.name, curves)]
    return plots.plot(name, paint, caption=caption, columns=columns, rows=rows, folder=folder)


def seamless(look: Look) -> dict[str, Any]:
    """Edges for bars that touch: without them the page shows between bars."""
    return {"ec": look.color, "lw": 0.4}


def stacked(
    name: str,
    terms: Mapping[str, Sequence[float]],
    *,
    label: str,
    caption: str,
    folder: Path | None,
) -> Plot:
    """Shares of the terms, 0 to 1, one bar for each epoch.

    Args:
        name: name of the plot's files.
        terms: shares of each term, one for each epoch.
        label, caption, folder: as for `lines`.
    """
    epochs = max(map(len, terms.values()))

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        heights_below = np.zeros(epochs)
        for index, (term, shares) in enumerate(terms.items()):
            look = plots.look(index + 1)
            values = 100 * np.asarray(shares, float)
            axes.bar(
                *(range(1, epochs + 1), values, 0.9 if epochs <= _MANY else 1.0),
                **{"bottom": heights_below, "color": look.color, "label": term},
                **({"hatch": look.hatch, "ec": plots.INK} if epochs <= _MANY else seamless(look)),
            )
            heights_below = heights_below + values
        axes.set(xlabel="epoch", ylabel=label, ylim=(0, 100))
        drawing.whole_epochs(axes, epochs)
        drawing.legend_above(axes)

    rows = [[epoch + 1, *(shares[epoch] for shares in terms.values())] for epoch in range(epochs)]
    columns = ["epoch", *terms]
    return plots.plot(name, paint, caption=caption, columns=columns, rows=rows, folder=folder)


def _shares(run: FinishedRun, folder: Path | None) -> Plot | None:
    history = run.history(run.student)
    terms = {
        k.removesuffix(SHARE_SUFFIX): v
        for k, v in history.items()
        if k.endswith(SHARE_SUFFIX) and v
    }
    terms = {term: v for term, v in terms.items() if not term.startswith("val_")}
    if len(terms) < 2:
        return None
    caption = (
        f"Share of each weighted term in the training loss of the {run.name_in_text(run.student)}: "
        "ce is the labels' cross-entropy, the others are the methods."
    )
    return stacked(
        "loss-shares", terms, label="share of the loss (%)", caption=caption, folder=folder
    )


def _terms(run: FinishedRun, folder: Path | None) -> Plot | None:
    """The values of the terms by epoch, each relative to its first one."""
    history = run.history(run.student)
    names = [k.removesuffix(SHARE_SUFFIX) for k in history if k.endswith(SHARE_SUFFIX)]
    terms = {k: history[k] for k in names if history.get(k) and history[k][0]}
    epochs = max(map(len, terms.values()), default=0)
    if epochs < 2:
        return None

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for index, (term, values) in enumerate(terms.items()):
            look = plots.look(index + 1)
            axes.plot(
                *(range(1, epochs + 1), np.divide(values, values[0]) * 100),
                **{"color": look.color, "linestyle": look.line, "label": term},
                marker=None if epochs > _MANY else look.marker,
            )
        axes.set(xlabel="epoch", ylabel="% of its value in epoch 1", ylim=(0, None))
        drawing.whole_epochs(axes, epochs)
        drawing.legend_above(axes)

    return plots.plot(
        "loss-terms",
        paint,
        caption="Each term of that loss, without its weight, relative to its mean in the first "
        "epoch. A term that does not fall is not learnt.",
        columns=["epoch", *terms],
        rows=[[epoch + 1, *(v[epoch] for v in terms.values())] for epoch in range(epochs)],
        folder=folder,
    )
