"""Figures of a page: drawn once, as SVG for the page, and as PNG and CSV in a folder.

Text and lines of the SVG take the colours of the page, so that one drawing is readable on dark and
light and on paper. A series differs from others by marker, dash and hatch too, so that it can be
distinguished in grey.
"""

import dataclasses
import html
import io
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from kd_keras import files
from kd_keras.results import csv_table
from kd_keras.results.page.page_elements import Plot

_DOTS_PER_INCH = 150  # of the PNG
WIDTH, HEIGHT = 4.5, 3.1  # inches; wider drawings have too small letters on a phone
INK, SOFT, LINE = "#1b1b1d", "#5b6068", "#d5d8dc"
# Okabe and Ito 2008, "Color Universal Design": distinguishable with any colour vision.
BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#e69f00", "#009e73", "#cc79a7"
SKY, VERMILLION, GREY = "#56b4e9", "#d55e00", "#868d97"
# The names that page.css gives to these colours.
_NAMES = {
    **{INK: "ink", SOFT: "soft", LINE: "line", BLUE: "blue", ORANGE: "orange", GREEN: "green"},
    **{PURPLE: "purple", SKY: "sky", VERMILLION: "vermillion", GREY: "grey"},
}
_STYLE: Any = {
    **{"text.parse_math": False, "text.usetex": False},  # a class name may have a dollar
    **{"svg.fonttype": "none", "font.size": 10, "axes.titlesize": 10, "axes.labelsize": 10},
    **{"text.color": INK, "axes.edgecolor": SOFT, "axes.labelcolor": INK, "xtick.color": SOFT},
    **{"ytick.color": SOFT, "xtick.labelcolor": INK, "ytick.labelcolor": INK, "axes.grid": True},
    **{"grid.color": LINE, "grid.linewidth": 0.7, "axes.axisbelow": True, "axes.spines.top": False},
    **{"axes.spines.right": False, "legend.frameon": False, "legend.fontsize": 8.5},
    **{"hatch.linewidth": 0.8, "lines.linewidth": 1.8, "lines.markersize": 5},
    **{"axes.facecolor": "none", "figure.facecolor": "none", "xtick.labelsize": 9},
    **{"ytick.labelsize": 9, "axes.titlelocation": "left", "axes.titleweight": "bold"},
}


@dataclasses.dataclass(frozen=True)
class Look:
    """How a series is drawn."""

    color: str
    marker: str
    line: str
    hatch: str


# The first three are for teacher, student alone and distilled student.
_LOOKS = (
    Look(GREY, "s", "--", ".."),
    Look(ORANGE, "o", "-.", "///"),
    Look(BLUE, "D", "-", ""),
    Look(GREEN, "^", ":", "oo"),
    Look(PURPLE, "v", "--", "xxx"),
    Look(VERMILLION, "P", "-.", "\\\\\\"),
    Look(SKY, "X", "-", "++"),
)


def look(index: int) -> Look:
    """The look of a series by its place; after seven they begin again."""
    return _LOOKS[index % len(_LOOKS)]


def plot(
    name: str,
    paint: Callable[[Any], None],
    *,
    caption: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    folder: Path | None = None,
    width: float = WIDTH,
    height: float = HEIGHT,
    wide: bool = False,
) -> Plot:
    """Draws a figure; writes `name`.png and `name`.csv, its numbers, to `folder` if there is one.

    Args:
        name: one word with dashes, unique in its page.
        paint: draws on the matplotlib figure that it is given.
        caption: what the figure shows and how to read it.
        columns, rows: the numbers of the figure, for the CSV; None is an empty cell.
        width, height: inches.
        wide: whether it takes the whole width of the page.
    """
    import matplotlib
    from matplotlib.figure import Figure  # pyplot would keep figures open and need a display

    style: Any = {**_STYLE, "svg.hashsalt": name}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained")
        paint(figure)
        _lay_out(figure)
        svg = _as_svg(figure)
        if folder is not None:
            _save_png(figure, folder / f"{name}.png")
            csv_table.write(folder / f"{name}.csv", columns, rows)
    return Plot(name, caption, _for_page(svg, name, caption), wide)


def rectangle(corner: tuple[float, float], side: float, *, color: str, hatch: str | None) -> Any:
    """A square to be added to axes, outlined in the page's ink.

    Args:
        corner: (x, y) of the lower left corner, in the units of the axes.
        side: length of a side, in the same units.
        color: color of the inside.
        hatch: pattern of matplotlib's; None for none.
    """
    from matplotlib import patches

    look: Any = {"facecolor": color, "edgecolor": INK, "linewidth": 0.5}
    return patches.Rectangle(corner, side, side, hatch=hatch, **look)


def _lay_out(figure: Any) -> None:
    """Computes the layout once, not for each file again."""
    engine = figure.get_layout_engine()
    engine.execute(figure)
    figure.set_layout_engine("none")


# Figure.savefig would draw twice, which takes most of the time of a report.
def _as_svg(figure: Any) -> str:
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    text, canvas = io.StringIO(), FigureCanvasSVG(figure)
    print_svg: Any = canvas.print_svg
    print_svg(text, metadata={"Date": None})
    return text.getvalue()


def _save_png(figure: Any, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_facecolor("white")
    figure.set_dpi(_DOTS_PER_INCH)
    print_png: Any = FigureCanvasAgg(figure).print_png
    with files.atomic_write(path) as new_path:
        print_png(new_path)


def _for_page(svg: str, name: str, caption: str) -> str:
    """The drawing for a page: its colours are the page's, and no name occurs in another drawing."""
    svg = svg[svg.index("<svg") :]
    # Its style would apply to the whole page; page.css has it for drawings.
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    for color, variable in _NAMES.items():
        svg = re.sub(color, f"var(--{variable})", svg, flags=re.IGNORECASE)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r"(font(?:-family)?: (?:[^;\"]*?px )?)'[^;\"]*", r"\1system-ui, sans-serif", svg)
    # The size comes from the page; the view box keeps the proportions.
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    label = html.escape(caption, quote=True)
    return svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1).strip()
