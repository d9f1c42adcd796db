"""Shared parts of a page's figures: legends, axes of epochs, names and numbers that fit."""

import math
import textwrap
from typing import Any

_LETTER, _HANDLE = 0.06, 0.42  # inches that a letter of a legend takes, and what stands before it


def legend_above(axes: Any) -> None:
    """A legend above the axes, in as many columns as fit, where it hides no data."""
    handles, labels = axes.get_legend_handles_labels()
    if not handles:
        return
    longest_line = max(max(map(len, label.split("\n"))) for label in labels)
    entry = _HANDLE + _LETTER * longest_line
    axes.figure.legend(
        *(handles, labels),
        **{"loc": "outside upper left", "handlelength": 2.2, "columnspacing": 1.2},
        **{"handletextpad": 0.5, "borderaxespad": 0.1},
        ncols=max(1, min(len(labels), int(axes.figure.get_figwidth() / entry))),
    )


def whole_epochs(axes: Any, epochs: int) -> None:
    """An x axis of epochs 1 to `epochs` with ticks at whole numbers; also for one epoch."""
    axes.set_xlim(0.5, epochs + 0.5)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)


def wrapped(name: str, width: int) -> str:
    """A name in lines of at most `width` characters where it has places to break at."""
    spaced_name = name.replace(", ", ",").replace(",", ", ")  # lets lines break after each comma
    return "\n".join(textwrap.wrap(spaced_name, width, break_long_words=False)) or name


def shortened(name: str, width: int) -> str:
    """A name of at most `width` characters; a longer one ends in "…"."""
    return name if len(name) <= width else f"{name[: width - 1]}…"


def digits(value: float, num_digits: int = 3) -> str:
    """A number >= 0 with `num_digits` significant digits, never with an exponent.

    Args:
        value: the number, >= 0.
        num_digits: number of significant digits, >= 1.
    """
    decimals = num_digits - 1 - math.floor(math.log10(value)) if value else 0
    return f"{value:,.{max(0, decimals)}f}"
