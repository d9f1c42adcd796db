"""Learning curves of a run as a PNG: accuracy and cross-entropy by epoch."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras import files
from kd_keras.results.metrics.main_score import MAP, TOP1

# Okabe and Ito 2008, "Color Universal Design": distinguishable with any colour vision.
_COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#000000")
_MARKERS = "osD^vPX*"
_LEGEND_WIDTH = 26  # characters
_LINE_HEIGHT = 0.16  # inches, of a line in the legend
_MANY_EPOCHS = 20  # from this number of epochs on, markers are small

History = Mapping[str, Sequence[float]]


def plot(
    histories: Mapping[str, History], path: str | Path, *, names: Mapping[str, str] | None = None
) -> None:
    """Draws validation top-1, or mAP, and training cross-entropy by epoch, a line per model.

    Args:
        histories: Keras's history for each phase: `val_top1` or `val_map` (fractions) and `ce`
            (nats), one value per epoch; a missing key draws no line.
        path: path of the PNG.
        names: names of the phases in the legend; by default the phases themselves.
    """
    from matplotlib.figure import Figure  # pyplot would keep figures open and need a display

    labels = {phase: _wrap_name((names or {}).get(phase, phase)) for phase in histories}
    lines = sum(label.count("\n") + 2 for label in labels.values())
    figure = Figure(figsize=(10, max(3.8, _LINE_HEIGHT * lines)), layout="constrained")
    top1, ce = figure.subplots(1, 2)
    score = MAP if any(f"val_{MAP.key}" in history for history in histories.values()) else TOP1
    _draw(top1, histories, labels, f"val_{score.key}", scale=100.0, min_range=1.0)
    _draw(ce, histories, labels, "ce", scale=1.0, min_range=0.05)
    top1.set(xlabel="epoch", ylabel=f"{score.title} on validation (%)")
    ce.set(xlabel="epoch", ylabel="cross-entropy on training (nats)")
    handles = {line.get_label(): line for axes in (top1, ce) for line in axes.lines}
    if handles:
        figure.legend(handles.values(), handles.keys(), loc="outside right upper", fontsize=9)
    with files.atomic_write(Path(path)) as new_path:
        figure.savefig(new_path, format="png", dpi=150)


def _wrap_name(name: str) -> str:
    spaced_name = name.replace(", ", ",").replace(",", ", ")  # lets lines break after each comma
    return "\n".join(textwrap.wrap(spaced_name, _LEGEND_WIDTH))


def _draw(
    axes: Any,
    histories: Mapping[str, History],
    labels: Mapping[str, str],
    key: str,
    *,
    scale: float,
    min_range: float,
) -> None:
    """A line for each history that has `key`; `min_range` is the smallest range of the y axis."""
    curves = {phase: np.multiply(h[key], scale) for phase, h in histories.items() if h.get(key)}
    most_epochs = max(map(len, curves.values()), default=1)
    for index, phase in enumerate(histories):
        if phase in curves:
            axes.plot(
                range(1, len(curves[phase]) + 1),
                curves[phase],
                color=_COLORS[index % len(_COLORS)],
                marker=_MARKERS[index % len(_MARKERS)],
                markersize=3 if most_epochs >= _MANY_EPOCHS else 6,
                linewidth=1.5,
                label=labels[phase],
            )
    axes.set_xlim(0.5, most_epochs + 0.5)
    if curves:
        axes.set_ylim(_limits(np.concatenate(list(curves.values())), min_range))
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.grid(alpha=0.3)


def _limits(values: np.ndarray, min_range: float) -> tuple[float, float]:
    """The range of the values with a margin, at least `min_range` wide."""
    low, high = float(values.min()), float(values.max())
    margin = max(0.05 * (high - low), (min_range - (high - low)) / 2)
    return low - margin, high + margin
