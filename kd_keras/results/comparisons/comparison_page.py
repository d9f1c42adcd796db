"""A comparison of runs as a page for a browser, with its plots as PNG and CSV beside it."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kd_keras.results.comparisons import comparison_lines
from kd_keras.results.comparisons.comparison import MEGABYTES, MILLISECONDS
from kd_keras.results.metrics import main_score
from kd_keras.results.metrics.main_score import Score
from kd_keras.results.page import page, plots
from kd_keras.results.page.parts import Code, Part, Plot, Section, Table, Text
from kd_keras.results.phase_names import BASELINE, STUDENT, TEACHER

_COSTS = {MILLISECONDS: "milliseconds per image, batch 1", MEGABYTES: "size in MB"}
_LOW = 1.8  # inches, of a plot that may have one line
_LINE = 0.06  # height of a name, as a share of the axis
_ROLES = (TEACHER, BASELINE, STUDENT)  # in the order of the looks


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Writes the page, and its plots to a folder of its name.

    Args:
        path: the HTML file.
        document: what `compare` returns.
    """
    folder = path.with_suffix("")
    data, groups = document["data"], document["groups"]
    students = [group["name"] for group in groups if group["role"] == STUDENT]
    page.write(
        path,
        title=" and ".join(students) if len(students) == 2 else "Comparison of runs",
        subtitle=f"{len(document['runs'])} runs on {data['dataset']}, accuracy on the same "
        f"{data['images']:,} validation images",
        head=[*_verdict(document), *(Text(note, "note") for note in document["notes"])],
        sections=[
            Section("accuracy", "Accuracy", _accuracy(groups, folder)),
            *_differences(document, folder),
            Section("cost", "Accuracy against cost", [_cost(groups, c, folder) for c in _COSTS]),
            *_fields(document),
            Section("runs", "Runs", _runs(document)),
        ],
        footer=f"Data fingerprint {data['fingerprint']}. Intervals are 95 %.",
    )


def _verdict(document: Mapping[str, Any]) -> list[Part]:
    first_line, *other_lines = document["verdict"]
    return [Text(first_line, "lead"), *(Text(line) for line in other_lines)]


def _accuracy(groups: Sequence[Mapping[str, Any]], folder: Path) -> list[Part]:
    score = main_score.score_of_groups(groups)
    rows = [
        [
            group["name"],
            len(group["seeds"]),
            _percent(group[score.key]),
            f"{_percent(group['low'])} to {_percent(group['high'])}",
            group["over"],
            comparison_lines.points(group["gain"]) if group["gain"] else None,
            f"{group['parameters']:,}",
            _number(group[MILLISECONDS]),
            _number(group[MEGABYTES]),
            comparison_lines.front(group) or None,
        ]
        for group in groups
    ]
    columns = ["model", "seeds", f"{score.name} %", "95 % interval", "over", "gain, points"]
    table = Table(
        [*columns, "parameters", "ms/image", "MB", "front"],
        rows,
        left=["over"],
        strong=[index for index, group in enumerate(groups) if group["role"] == STUDENT],
    )
    keys = ("name", score.key, "low", "high", f"each_{score.key}", "role")
    values: Any = [tuple(group[key] for key in keys) for group in groups]
    title = f"{score.title[0].upper()}{score.title[1:]}"
    caption = f"{title}: the mean, its 95 % interval, and each seed (small)."
    return [
        _intervals("accuracy", values, caption, folder, f"{score.title} (%)"),
        *_gains(groups, folder),
        table,
        Text(
            "Gain: over the same student trained alone. Front: no other model is better in both "
            "accuracy and time (t) or size (s). ms/image: batch 1; equal networks share their time."
        ),
    ]


def _gains(groups: Sequence[Mapping[str, Any]], folder: Path) -> list[Plot]:
    gains = [(group["name"], group["gain"]) for group in groups if group["gain"]]
    values = [
        (n, g["difference"], g["low"], g["high"], _pair_differences(g), STUDENT) for n, g in gains
    ]
    caption = (
        "What distillation gained over the same student trained alone. An interval that includes "
        "0 shows no measurable gain."
    )
    label = f"points of {main_score.score_of_groups(groups).name} over the student alone"
    return [_intervals("gain", values, caption, folder, label, zero=True)] if gains else []


def _differences(document: Mapping[str, Any], folder: Path) -> list[Section]:
    entries = document["differences"]
    if not entries:
        return []
    reference, score = entries[0]["other"], main_score.score_of_groups(document["groups"])
    values = [
        (e["group"], e["difference"], e["low"], e["high"], _pair_differences(e), STUDENT)
        for e in entries
    ]
    plot = _intervals(
        "difference",
        values,
        f"Difference in {score.name} to {reference}, with its 95 % interval, and that of each pair "
        "(small). An interval that includes 0 shows no measurable difference.",
        folder,
        f"points of {score.name} over {reference}",
        zero=True,
        height=_LOW,
    )
    columns = ["model", "seed", "difference, points", "right alone", "p", "p, Holm"]
    rows = [row for entry in entries for row in comparison_lines.difference_rows(entry)]
    if score is main_score.MAP:  # which has no test
        table = Table(columns[:3], [row[:3] for row in rows])
        return [Section("differences", f"Differences to {reference}", [plot, table])]
    table = Table(columns, rows)
    explanation = Text(
        "Right alone: images that only this model / only the other predicts right. p: McNemar's "
        "exact test over images; Holm's is adjusted for the number of tests."
    )
    return [Section("differences", f"Differences to {reference}", [plot, table, explanation])]


def _pair_differences(entry: Mapping[str, Any]) -> list[float]:
    return [pair["difference"] for pair in entry["pairs"]]


def _intervals(
    name: str,
    values: Sequence[tuple[str, float, float, float, Sequence[float], str]],
    caption: str,
    folder: Path,
    label: str,
    *,
    zero: bool = False,
    height: float = plots.HEIGHT,
) -> Plot:
    """A line for each name: mean, interval, and the single values."""

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for place, (_, mean, low, high, single_values, role) in enumerate(values):
            look = plots.look(_ROLES.index(role))
            axes.plot([100 * low, 100 * high], [place, place], color=look.color, linewidth=2)
            axes.plot(100 * mean, place, look.marker, color=look.color, markersize=7)
            if len(single_values) > 1:
                heights = [place + 0.22] * len(single_values)
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


def _cost(groups: Sequence[Mapping[str, Any]], cost: str, folder: Path) -> Plot:
    measured_groups = [group for group in groups if group[cost] is not None]
    score = main_score.score_of_groups(groups)
    return plots.plot(
        f"front-{cost.replace('_', '-')}",
        _front_painter(measured_groups, cost, score),
        caption=f"Accuracy against {_COSTS[cost]}. Up and left is better. Filled: "
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
        axes.set(xlabel=_COSTS[cost], ylabel=f"{score.title} (%)")
        _label(axes, groups, cost, score)

    return paint


def _label(axes: Any, groups: Sequence[Mapping[str, Any]], cost: str, score: Score) -> None:
    """Names right of the points, from the lowest up, moved up where they would overlap."""
    low, high = axes.get_ylim()
    top_labels: dict[Any, float] = {}
    for group in sorted(groups, key=lambda group: float(group[score.key])):
        x, y = group[cost], 100 * group[score.key]
        num_equal = sum(other_group[cost] == x for other_group in groups)
        place = max(y, top_labels.get(x, low) + _LINE * (high - low))
        top_labels[x] = place
        label_offset = (6 * num_equal + 4, 0)
        axes.annotate(
            _name_in_lines(group["name"]),
            (x, place),
            label_offset,
            textcoords="offset points",
            fontsize=8,
            va="bottom",
        )


def _fields(document: Mapping[str, Any]) -> list[Section]:
    fields = document["fields"]
    if not fields:
        return []
    names = list(next(iter(fields.values())))
    rows = [
        [field, *(comparison_lines.format_value(by_group[name]) for name in names)]
        for field, by_group in fields.items()
    ]
    table = Table(["field", *names], rows, left=names)
    return [Section("recipes", "What differs in the recipes", [table])]


def _runs(document: Mapping[str, Any]) -> list[Part]:
    rows = [
        [
            run["run"],
            ", ".join(run["groups"]),
            run["seed"],
            ", ".join(run["devices"] or ["unknown"]),
        ]
        for run in document["runs"]
    ]
    versions = [
        ", ".join(f"{name} {version}" for name, version in (run["versions"] or {}).items())
        for run in document["runs"]
    ]
    command = "kdk compare " + " ".join(run["run"] for run in document["runs"])
    return [
        Table(["run", "group", "seed", "devices"], rows, left=["group", "devices"]),
        *(Text(f"Versions: {line}.") for line in dict.fromkeys(filter(None, versions))),
        Code(command),
    ]


def _name_in_lines(name: str) -> str:
    """The name in lines that fit beside a plot."""
    return "\n".join(textwrap.wrap(name, 26, break_long_words=False)) or name


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.3g}"
