"""The models of a run side by side: accuracy, size, time and multiply-adds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kd_keras.results.metrics import timing
from kd_keras.results.metrics.timing import MAX_SPREAD
from kd_keras.results.page import drawing, plots
from kd_keras.results.page.page_elements import Element, Plot, Section, Table, Text
from kd_keras.results.phase_names import has_unmeasured_teacher
from kd_keras.results.report.finished_run import FinishedRun
from kd_keras.results.terminal import table
from kd_keras.results.terminal.table import FEWEST_CLASSES_FOR_TOP5

_COSTS: dict[str, Callable[[Any], float | None]] = {
    "parameters (thousands)": lambda entry: entry["parameters"] / 1e3,
    "multiply-adds (millions)": lambda entry: _scale(entry.get("multiply_adds"), 1e-6),
    "ms per image, batch 1": lambda entry: _time(entry, "batch1"),
}
_LONGEST = 20  # letters of a name in one line


def section(run: FinishedRun, folder: Path | None) -> Section:
    """Accuracy with intervals, costs, accuracy against time, and all of it as a table."""
    elements: list[Element] = [_accuracy(run, folder), _costs(run, folder)]
    if any(_time(run.results[phase], "batch1") for phase in run.phases):
        elements.append(_against_time(run, folder))
    elements.append(_table(run))
    if any("stop_early" in run.results[phase] for phase in run.phases):
        elements.append(
            Text(
                "Training stopped early: each model has the weights of its best epoch, measured on "
                "a tenth of the training images that trains nothing."
            )
        )
    unsteady = [run.name(phase) for phase in run.phases if _is_unsteady(run.results[phase])]
    if unsteady:
        elements.append(
            Text(
                f"The times of {', '.join(unsteady)} vary by more than {100 * MAX_SPREAD:.0f} %: "
                "other programs ran at the same time. Do not compare them.",
                "note",
            )
        )
    if run.teacher is None and has_unmeasured_teacher(run.results):
        is_cache = run.results.get("teacher_cache")
        what = "is a cache of its outputs on training images" if is_cache else "gives an embedding"
        elements.append(Text(f"The teacher {what}; it was not measured."))
    if _interval(run, run.student) is None:
        elements.append(
            Text("The number of validation images is unknown, so there are no intervals.")
        )
    return Section("models", "Teacher, student alone, distilled", elements)


def _accuracy(run: FinishedRun, folder: Path | None) -> Plot:
    rows = [
        [run.name(p), run.results[p][run.score.key], *(_interval(run, p) or (None,) * 2)]
        for p in run.phases
    ]

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for row, phase in enumerate(run.phases):
            value, look = 100 * run.results[phase][run.score.key], run.look(phase)
            interval = _interval(run, phase)
            axes.barh(row, value, 0.7, color=look.color, hatch=look.hatch, edgecolor=plots.INK)
            high = value
            if interval:
                low, high = (100 * bound for bound in interval)
                axes.plot([low, high], [row] * 2, color=plots.INK, marker="|", linewidth=1.2)
            axes.annotate(
                f"{value:.1f}", (high, row), (5, 0), textcoords="offset points", va="center"
            )
        _name_rows(axes, run)
        xlabel = f"{run.score.name} on validation (%)"
        axes.set(xlabel=xlabel, xlim=(0, 1.14 * max(_highs(run))))

    caption = "Share of the validation images that each model names rightly"
    if run.multi_label:
        caption = "Mean average precision of each model on the validation images"
    if rows[0][2] is not None:
        interval_name = "bootstrap" if run.multi_label else "Wilson"
        caption += f". Lines: 95 % interval over images ({interval_name})"
    return plots.plot(
        "accuracy",
        paint,
        caption=f"{caption}.",
        columns=["model", run.score.key, "low", "high"],
        rows=rows,
        folder=folder,
        height=_height(run),
    )


def _costs(run: FinishedRun, folder: Path | None) -> Plot:
    costs = {
        name: values
        for name, cost_of in _COSTS.items()
        if any(values := [cost_of(run.results[phase]) for phase in run.phases])
    }

    def paint(figure: Any) -> None:
        for axes, (name, values) in zip(
            figure.subplots(len(costs), 1, squeeze=False).flat, costs.items(), strict=True
        ):
            for row, (phase, value) in enumerate(zip(run.phases, values, strict=True)):
                look = run.look(phase)
                axes.barh(
                    *(row, value or 0, 0.7),
                    **{"color": look.color, "hatch": look.hatch, "edgecolor": plots.INK},
                )
                text = "unknown" if value is None else drawing.digits(value)
                axes.annotate(
                    text, (value or 0, row), (4, 0), textcoords="offset points", va="center"
                )
            _name_rows(axes, run)
            axes.set_title(name)
            axes.set_xlim(0, 1.2 * max(value or 0 for value in values))
            axes.tick_params(labelbottom=False)

    return plots.plot(
        "costs",
        paint,
        caption="What a model takes: less is better.",
        columns=["model", *costs],
        rows=[[run.name(p), *(v[i] for v in costs.values())] for i, p in enumerate(run.phases)],
        folder=folder,
        height=max(plots.HEIGHT, len(costs) * (0.45 + _row(run) * len(run.phases))),
    )


def _against_time(run: FinishedRun, folder: Path | None) -> Plot:
    timed_phases = [phase for phase in run.phases if _time(run.results[phase], "batch1")]

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for phase in timed_phases:
            entry, look = run.results[phase], run.look(phase)
            x, y = _time(entry, "batch1"), 100 * entry[run.score.key]
            axes.plot(
                *(x, y),
                **{"color": look.color, "marker": look.marker, "linestyle": "none"},
                **{"markersize": 9, "markeredgecolor": plots.INK, "label": run.name(phase)},
            )
        ylabel = f"{run.score.name} on validation (%)"
        axes.set(xlabel="milliseconds per image, batch 1", ylabel=ylabel)
        axes.margins(0.2)
        axes.set_xlim(left=0)
        drawing.legend_above(axes)

    return plots.plot(
        "accuracy-against-time",
        paint,
        caption="Accuracy against time on this machine: the upper left corner is best.",
        columns=["model", "ms_batch1", run.score.key],
        rows=[
            [run.name(p), _time(run.results[p], "batch1"), run.results[p][run.score.key]]
            for p in timed_phases
        ],
        folder=folder,
    )


def _table(run: FinishedRun) -> Table:
    has_few_classes = run.results.get("data", {}).get("classes", 0) < FEWEST_CLASSES_FOR_TOP5
    score = run.score
    columns: dict[str, Callable[[str], str | None]] = {
        "model": run.name,
        f"{score.name} %": lambda p: f"{100 * run.results[p][score.key]:.2f}",
        "95 % interval": lambda p: _formatted_interval(_interval(run, p)),
        f"{score.second_name} %": lambda p: f"{100 * run.results[p][score.second]:.2f}",
        "parameters": lambda p: f"{run.results[p]['parameters']:,}",
        "multiply-adds": lambda p: _formatted(run.results[p].get("multiply_adds"), ",d"),
        "SavedModel MB": lambda p: _formatted(
            (run.results[p].get("export") or {}).get("megabytes"), ".2f"
        ),
        "ms/image, batch 1": lambda p: _formatted_time(run.results[p], "batch1"),
        "ms/image, batch 128": lambda p: _formatted_time(run.results[p], "batch128"),
        "training s": lambda p: _formatted(
            run.results[p].get("seconds", {}).get("training"), ",.0f"
        ),
        "best epoch": lambda p: table.best_epoch(run.results[p]),
    }
    if has_few_classes:
        columns.pop("top-5 %", None)
    cells = {name: [cell_of(phase) for phase in run.phases] for name, cell_of in columns.items()}
    caption = "Times are medians ± half of the interquartile range; equal networks are timed once."
    is_timed = any(_time(run.results[phase], "batch1") for phase in run.phases)
    known_columns = {
        name: values for name, values in cells.items() if any(v is not None for v in values)
    }
    return Table(
        list(known_columns),
        list(zip(*known_columns.values(), strict=True)),
        caption if is_timed else "Times were not measured.",
        strong=[run.phases.index(run.student)],
    )


def _interval(run: FinishedRun, phase: str) -> tuple[float, float] | None:
    return run.intervals[phase]


def _highs(run: FinishedRun) -> list[float]:
    return [
        100 * (interval[1] if (interval := _interval(run, p)) else run.results[p][run.score.key])
        for p in run.phases
    ]


def _name_rows(axes: Any, run: FinishedRun) -> None:
    axes.set_yticks(
        range(len(run.phases)), [drawing.wrapped(run.name(p), _LONGEST) for p in run.phases]
    )
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.tick_params(left=False)


def _row(run: FinishedRun) -> float:
    """Inches that a row needs, for the lines of its name."""
    lines = [drawing.wrapped(run.name(p), _LONGEST).count("\n") + 1 for p in run.phases]
    return 0.12 + 0.15 * max(lines)


def _height(run: FinishedRun) -> float:
    return max(plots.HEIGHT, 0.9 + 1.4 * _row(run) * len(run.phases))


def _scale(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _time(entry: Any, batch: str) -> float | None:
    return (entry.get("milliseconds_per_image") or {}).get(batch)


def _is_unsteady(entry: Any) -> bool:
    return _time(entry, "batch1") is not None and not timing.steady(entry)


def _formatted(value: Any, form: str) -> str | None:
    return None if value is None else format(value, form)


def _formatted_interval(interval: tuple[float, float] | None) -> str | None:
    return None if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}"


def _formatted_time(entry: Any, batch: str) -> str | None:
    time = _time(entry, batch)
    if time is None:
        return None
    spread = entry["milliseconds_per_image"].get("spread", {}).get(batch)
    return (
        drawing.digits(time)
        if spread is None
        else f"{drawing.digits(time)} ± {drawing.digits(spread, 1)}"
    )
