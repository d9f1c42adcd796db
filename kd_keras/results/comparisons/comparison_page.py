"""A comparison of runs as a page for a browser, with its plots as PNG and CSV beside it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kd_keras.results.comparisons import comparison_lines, comparison_plots
from kd_keras.results.comparisons.comparison import MEGABYTES, MILLISECONDS
from kd_keras.results.metrics import main_score
from kd_keras.results.page import page
from kd_keras.results.page.page_elements import Code, Element, Plot, Section, Table, Text
from kd_keras.results.phase_names import STUDENT


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
            Section(
                "cost",
                "Accuracy against cost",
                [comparison_plots.score_by_cost(groups, c, folder) for c in comparison_plots.COSTS],
            ),
            *_fields(document),
            Section("runs", "Runs", _runs(document)),
        ],
        footer=f"Data fingerprint {data['fingerprint']}. Intervals are 95 %.",
    )


def _verdict(document: Mapping[str, Any]) -> list[Element]:
    first_line, *other_lines = document["verdict"]
    return [Text(first_line, "lead"), *(Text(line) for line in other_lines)]


def _accuracy(groups: Sequence[Mapping[str, Any]], folder: Path) -> list[Element]:
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
        comparison_plots.intervals("accuracy", values, caption, folder, f"{score.title} (%)"),
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
    return (
        [comparison_plots.intervals("gain", values, caption, folder, label, zero=True)]
        if gains
        else []
    )


def _differences(document: Mapping[str, Any], folder: Path) -> list[Section]:
    entries = document["differences"]
    if not entries:
        return []
    reference, score = entries[0]["other"], main_score.score_of_groups(document["groups"])
    values = [
        (e["group"], e["difference"], e["low"], e["high"], _pair_differences(e), STUDENT)
        for e in entries
    ]
    plot = comparison_plots.intervals(
        "difference",
        values,
        f"Difference in {score.name} to {reference}, with its 95 % interval, and that of each pair "
        "(small). An interval that includes 0 shows no measurable difference.",
        folder,
        f"points of {score.name} over {reference}",
        zero=True,
        height=comparison_plots.LOW,
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


def _runs(document: Mapping[str, Any]) -> list[Element]:
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


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.3g}"
