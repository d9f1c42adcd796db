"""The plots of a comparison: scores with their intervals, and scores against costs."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kd_keras.results.comparisons.comparison import MEGABYTES, MILLISECONDS
from kd_keras.results.metrics import main_score
from kd_keras.results.metrics.main_score import Score
from kd_keras.results.page import plots
from kd_keras.results.page.page_elements import Plot
from kd_keras.results.phase_names import BASELINE, STUDENT, TEACHER

#: What a model costs, by field of a group, as the axis calls it.
COSTS = {MILLISECONDS: "milliseconds per image, batch 1", MEGABYTES: "size in MB"}
LOW = 1.8  # inches, of a plot that may have one line
_LINE = 0.06  # height of a name, as a share of the axis
_ROLES = (TEACHER, BASELINE, STUDENT)  # in the order of the looks


def intervals(
    name: str,
    values: Sequence[tuple[str, float, float, float, Sequence[float], str]],
    caption: str,
    folder: Path,
    label: str,
    *,
    zero: bool = False,
    height: float = plots.HEIGHT,
) -> Plot:
    """A line for each name: mean, interval, and the single values.

    Args:
        name: one word with dashes, unique in its page.
        values: name, mean, low and high end of its interval, single values, and role of each line;
            shares, 0 to 1.
        caption: what the figure shows.
        folder: where its PNG and CSV are written.
        label: text of the axis, in percent or points.
        zero: whether 0 is marked by a line.
        height: inches; more lines take more.
    """

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for row, (_, mean, low, high, single_values, role) in enumerate(values):
            look = plots.look(_ROLES.index(role))
            axes.plot([100 * low, 100 * high], [row, row], color=look.color, linewidth=2)
            axes.plot(100 * mean, row, look.marker, color=look.color, markersize=7)
            if len(single_values) > 1:
                heights = [row + 0.22] * len(single_values)
                axes.plot(
                    [100 * x for x in single_values], heights, look.marker, color=plots.SOFT, ms=3
                )
        if zero:
            axes.axvline(0, color=plots.INK, linewidth=1)
        axes.set_yticks(range(len(values)), [_name_in_lines(value[0]) for value in values])
        axes.set_ylim(len(values) - 0.5, -0.5)
        axes.set_xlabel(label)

    return plots.plot(
        name,
        paint,
        caption=caption,
        columns=["model", "mean", "low", "high", "each"],
        rows=[
            (n, m, low, high, " ".join(map(str, single_values)))
            for n, m, low, high, single_values, _ in values
        ],
        folder=folder,
        height=max(height, 0.9 + 0.42 * len(values)),
    )


def score_by_cost(groups: Sequence[Mapping[str, Any]], cost: str, folder: Path) -> Plot:
    """The groups' scores, with intervals, against one of `COSTS`, and the front of the best.

    Args:
        groups: the document's groups; those without the cost are left out.
        cost: a key of `COSTS`.
        folder: where its PNG and CSV are written.
    """
    measured_groups = [group for group in groups if group[cost] is not None]
    score = main_score.score_of_groups(groups)
    return plots.plot(
        f"front-{cost.replace('_', '-')}",
        _front_painter(measured_groups, cost, score),
        caption=f"Accuracy against {COSTS[cost]}. Up and left is better. Filled: "
        "on the front, no other model is better in both. Bars are 95 % intervals.",
        columns=["model", cost, score.key, "low", "high", "on_front"],
        rows=[
            (g["name"], g[cost], g[score.key], g["low"], g["high"], g["front"][cost])
            for g in measured_groups
        ],
        folder=folder,
    )


def _front_painter(
    groups: Sequence[Mapping[str, Any]], cost: str, score: Score
) -> Callable[[Any], None]:
    from matplotlib import transforms

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        front = sorted((g[cost], 100 * g[score.key]) for g in groups if g["front"][cost])
        axes.step(
            [x for x, _ in front], [y for _, y in front], where="post", color=plots.SOFT, ls=":"
        )
        for index, group in enumerate(groups):
            look = plots.look(_ROLES.index(group["role"]))
            x, y = group[cost], 100 * group[score.key]
            # equal networks
            num_equal = [earlier_group[cost] for earlier_group in groups[:index]].count(x)
            shifted_axes = transforms.offset_copy(
                axes.transData, figure, x=6 * num_equal, units="points"
            )
            interval = [100 * group["low"], 100 * group["high"]]
            axes.plot([x, x], interval, color=look.color, linewidth=1, transform=shifted_axes)
            face = look.color if group["front"][cost] else "none"
            point: Any = {"color": look.color, "markerfacecolor": face, "markersize": 7}
            axes.plot(x, y, look.marker, transform=shifted_axes, **point)
        axes.update_datalim([(g[cost], 100 * g[end]) for g in groups for end in ("low", "high")])
        axes.margins(x=0.3)
        axes.autoscale_view()
        axes.set(xlabel=COSTS[cost], ylabel=f"{score.title} (%)")
        _label(axes, groups, cost, score)

    return paint


def _label(axes: Any, groups: Sequence[Mapping[str, Any]], cost: str, score: Score) -> None:
    """Names right of the points, from the lowest up, moved up where they would overlap."""
    low, high = axes.get_ylim()
    top_labels: dict[Any, float] = {}
    for group in sorted(groups, key=lambda group: float(group[score.key])):
        x, y = group[cost], 100 * group[score.key]
        num_equal = sum(other_group[cost] == x for other_group in groups)
        label_y = max(y, top_labels.get(x, low) + _LINE * (high - low))
        top_labels[x] = label_y
        label_offset = (6 * num_equal + 4, 0)
        axes.annotate(
            _name_in_lines(group["name"]),
            (x, label_y),
            label_offset,
            textcoords="offset points",
            fontsize=8,
            va="bottom",
        )


def _name_in_lines(name: str) -> str:
    """The name in lines that fit beside a plot."""
    return "\n".join(textwrap.wrap(name, 26, break_long_words=False)) or name
