"""Calibration in the report: reliability diagram, error, and the temperature that corrects it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kd_keras.results.metrics import calibration
from kd_keras.results.page import drawing, plots
from kd_keras.results.page.page_elements import Element, Plot, Section, Table, Text
from kd_keras.results.report.finished_run import FinishedRun

Calibration = Mapping[str, Any]
_WELL = 0.02  # expected calibration error below which no correction is needed


def section(run: FinishedRun, folder: Path | None) -> Section:
    """The reliability diagram and the table of errors and temperatures."""
    entries = {phase: entry for phase in run.phases if (entry := _calibration(run, phase))}
    title = "Calibration"
    if not entries:
        explanation = (
            "This run has no saved scores: a version before calibration was measured made it."
        )
        return Section("calibration", title, [Text(explanation)])
    elements: list[Element] = [_diagram(run, entries, folder), _confidences(run, entries, folder)]
    elements.append(_table(run, entries))
    if run.student in entries:
        elements.append(Text(_summary(run, entries[run.student])))
    return Section("calibration", title, elements)


def _calibration(run: FinishedRun, phase: str) -> Calibration | None:
    entry: Calibration | None = run.results[phase].get("calibration")
    logits = run.scores(phase)
    if entry is None and logits is not None and run.labels is not None:
        return calibration.measure_calibration(logits, run.labels)
    return entry


def _diagram(run: FinishedRun, entries: Mapping[str, Calibration], folder: Path | None) -> Plot:
    def paint(figure: Any) -> None:
        axes = figure.subplots()
        axes.plot([0, 100], [0, 100], color=plots.SOFT, linewidth=1, linestyle=":")
        for phase, entry in entries.items():
            look = run.look(phase)
            filled_bins = [one_bin for one_bin in entry["bins"] if one_bin["images"]]
            max_images = max(one_bin["images"] for one_bin in filled_bins)
            x, y = (
                [100 * one_bin[k] for one_bin in filled_bins] for k in ("confidence", "accuracy")
            )
            axes.plot(x, y, color=look.color, linestyle=look.line, linewidth=1)
            axes.scatter(
                *(x, y, [12 + 70 * one_bin["images"] / max_images for one_bin in filled_bins]),
                **{"color": look.color, "marker": look.marker, "clip_on": False},
            )
            axes.plot(
                *([], []),
                **{"color": look.color, "marker": look.marker, "linestyle": look.line},
                label=run.name(phase),
            )
        axes.set(xlabel="confidence (%)", ylabel="of these right (%)", xlim=(0, 100), ylim=(0, 100))
        drawing.legend_above(axes)

    columns = ["model", "low", "high", "images", "confidence", "accuracy"]
    return plots.plot(
        "reliability",
        paint,
        caption="Reliability: on the dotted line a model is right as often as it says; below it "
        "is overconfident. Larger marks hold more images.",
        columns=columns,
        rows=[
            [run.name(phase), *(one_bin[key] for key in columns[1:])]
            for phase, entry in entries.items()
            for one_bin in entry["bins"]
        ],
        folder=folder,
    )


def _confidences(run: FinishedRun, entries: Mapping[str, Calibration], folder: Path | None) -> Plot:
    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for phase, entry in entries.items():
            look = run.look(phase)
            x = [50 * (one_bin["low"] + one_bin["high"]) for one_bin in entry["bins"]]
            y = [100 * one_bin["images"] / entry["images"] for one_bin in entry["bins"]]
            axes.plot(
                *(x, y),
                **{"color": look.color, "marker": look.marker, "linestyle": look.line},
                label=run.name(phase),
            )
        axes.set(xlabel="confidence (%)", ylabel="of the images (%)", xlim=(0, 102))
        axes.set_ylim(bottom=0)
        drawing.legend_above(axes)

    return plots.plot(
        "confidence",
        paint,
        caption="How sure the models are: share of the images by confidence, in 15 bins.",
        columns=["model", "low", "high", "share"],
        rows=[
            [run.name(phase), one_bin["low"], one_bin["high"], one_bin["images"] / entry["images"]]
            for phase, entry in entries.items()
            for one_bin in entry["bins"]
        ],
        folder=folder,
    )


def _table(run: FinishedRun, entries: Mapping[str, Calibration]) -> Table:
    rows = [
        [
            run.name(phase),
            f"{100 * entry['ece']:.1f}",
            f"{entry['nll']:.3f}",
            _number(entry, "temperature", 1),
            _number(entry, "ece_before", 100),
            _number(entry, "ece_after", 100),
        ]
        for phase, entry in entries.items()
    ]
    columns = ["model", "ECE, points", "NLL, nats", "temperature"]
    return Table(
        [*columns, "other half, before", "after"],
        rows,
        "The temperature is fitted on one half of the images; the last two columns are the ECE of "
        "the other half.",
        strong=[i for i, phase in enumerate(entries) if phase == run.student],
    )


def _number(entry: Calibration, key: str, scale: float) -> str | None:
    return None if key not in entry else f"{scale * entry[key]:.{1 if scale > 1 else 2}f}"


def _summary(run: FinishedRun, entry: Calibration) -> str:
    name, ece = run.name_in_text(run.student), entry["ece"]
    text = f"On average the confidence of the {name} is {100 * ece:.1f} points off its accuracy."
    temperature = entry.get("temperature")
    if temperature is None or ece < _WELL:
        return f"{text} It needs no correction." if ece < _WELL else text
    state = "overconfident" if temperature > 1 else "not confident enough"
    return (
        f"{text} It is {state}: divide its logits by {temperature:.2f} before the softmax. That "
        "changes its probabilities and none of its predictions."
    )
