"""The picture of a run: accuracy and cross-entropy by epoch."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras import files

# Okabe and Ito 2008, "Color Universal Design": told apart with any colour vision.
_COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#000000")
_MARKERS = "osD^vPX*"
_LEGEND_WIDTH = 26  # characters
_LINE_HEIGHT = 0.16  # inches, of the legend's lines
_MANY_EPOCHS = 20  # from here on, markers are small

History = Mapping[str, Sequence[float]]


def plot(
    histories: Mapping[str, History], path: str | Path, *, names: Mapping[str, str] | None = None
) -> None:
    """Draws validation top-1 and training cross-entropy by epoch, a line a model, as a PNG.

    Args:
        histories: phase to Keras's history: `val_top1` (fractions) and `ce` (nats), a value an
            epoch; a key that is missing draws no line.
        path: where the PNG goes.
        names: of phases, for the legend; a phase without one is called by itself.
    """
    from matplotlib.figure import Figure  # without pyplot, which keeps figures and a display

    labels = {phase: _wrapped((names or {}).get(phase, phase)) for phase in histories}
    lines = sum(label.count("\n") + 2 for label in labels.values())
    figure = Figure(figsize=(10, max(3.8, _LINE_HEIGHT * lines)), layout="constrained")
    top1, ce = figure.subplots(1, 2)
    _draw(top1, histories, labels, "val_top1", scale=100.0, least=1.0)
    _draw(ce, histories, labels, "ce", scale=1.0, least=0.05)
    top1.set(xlabel="epoch", ylabel="top-1 accuracy on validation (%)")
    ce.set(xlabel="epoch", ylabel="cross-entropy on training (nats)")
    handles = {line.get_label(): line for axes in (top1, ce) for line in axes.lines}
    if handles:
        figure.legend(handles.values(), handles.keys(), loc="outside right upper", fontsize=9)
    with files.in_place_of(Path(path)) as fresh:
        figure.savefig(fresh, format="png", dpi=150)


def _wrapped(name: str) -> str:
    spaced = name.replace(", ", ",").replace(",", ", ")  # specs break after a knob
    return "\n".join(textwrap.wrap(spaced, _LEGEND_WIDTH))


def _draw(
    axes: Any,
    histories: Mapping[str, History],
    labels: Mapping[str, str],
    key: str,
    *,
    scale: float,
    least: float,
) -> None:
    """A line for each history that has `key`; `least` is the smallest range of the y axis."""
    known = {phase: np.multiply(h[key], scale) for phase, h in histories.items() if h.get(key)}
    longest = max(map(len, known.values()), default=1)
    for place, phase in enumerate(histories):
        if phase in known:
            axes.plot(
                range(1, len(known[phase]) + 1),
                known[phase],
                color=_COLORS[place % len(_COLORS)],
                marker=_MARKERS[place % len(_MARKERS)],
                markersize=3 if longest >= _MANY_EPOCHS else 6,
                linewidth=1.5,
                label=labels[phase],
            )
    axes.set_xlim(0.5, longest + 0.5)
    if known:
        axes.set_ylim(_limits(np.concatenate(list(known.values())), least))
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.grid(alpha=0.3)


def _limits(values: np.ndarray, least: float) -> tuple[float, float]:
    """The values' range with a margin, at least so wide."""
    low, high = float(values.min()), float(values.max())
    margin = max(0.05 * (high - low), (least - (high - low)) / 2)
    return low - margin, high + margin
