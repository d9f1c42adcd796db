"""The results of scripts/replica_table.py as two tables in docs/how-to/devices.md."""

from collections.abc import Mapping, Sequence
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "how-to" / "devices.md"
BEGIN, END = "<!-- replicas: begin -->\n", "<!-- replicas: end -->\n"
LEARNING_RATE, LARGEST = "learning rate", "largest difference"
MOVED, CHANGED = "1 device, moved", "1 device, changed"
COMPARED = ("2 replicas", "4 replicas", "2 processes")
# By method and setting: the learning rate, and by place the largest relative difference.
Cell = Mapping[str, float]
Results = Mapping[str, Mapping[str, Cell]]


def write(results: Results, teachers: Mapping[str, str]) -> None:
    PAGE.write_text(with_tables(PAGE.read_text(), results, teachers))


def with_tables(page: str, results: Results, teachers: Mapping[str, str]) -> str:
    """The page with both tables between its two marks."""
    text_before, _, text_after = page.partition(BEGIN)
    _, _, after = text_after.partition(END)
    text = (
        "The largest difference over all methods, with the number of methods compared in the "
        f"place:\n\n{overview(results)}\n"
        f"The largest difference over the places, for each method:\n\n{table(results, teachers)}"
    )
    return f"{text_before}{BEGIN}\n{text}\n{END}{after}"


def overview(results: Results) -> str:
    """A line for each setting: the largest difference by place, and over how many methods."""
    lines = [
        f"| setting | moved, least | changed | {' | '.join(COMPARED)} |",
        "| --- |" + " ---: |" * (2 + len(COMPARED)),
    ]
    for setting in _settings(results):
        cells = [row[setting] for row in results.values() if setting in row]
        numbers = [
            _text(min((cell[MOVED] for cell in cells if MOVED in cell), default=None)),
            _text(max((cell[CHANGED] for cell in cells if CHANGED in cell), default=None)),
            *(_counted([cell[place] for cell in cells if place in cell]) for place in COMPARED),
        ]
        lines.append(f"| `{setting}` | {' | '.join(numbers)} |")
    return "\n".join([*lines, ""])


def table(results: Results, teachers: Mapping[str, str]) -> str:
    """The results in Markdown: a line for each method, up to three columns for each setting.

    Args:
        results: by method and setting, the learning rate and the differences by place.
        teachers: by method, where the outputs of its teacher come from in `cached`.
    """
    rows = {name: {s: _shown(cell) for s, cell in row.items()} for name, row in results.items()}
    columns = [
        (setting, fact)
        for setting in _settings(results)
        for fact in (LEARNING_RATE, CHANGED, LARGEST)
        if any(fact in row.get(setting, {}) for row in rows.values())
    ]
    heads = [f"{s}, {fact.removeprefix('1 device, ')}" for s, fact in columns]
    lines = [
        f"| method | teacher | {' | '.join(heads)} |",
        "| --- | --- |" + " ---: |" * len(columns),
    ]
    for name, row in rows.items():
        values = [row.get(setting, {}).get(fact) for setting, fact in columns]
        lines.append(f"| `{name}` | {teachers[name]} | {' | '.join(map(_text, values))} |")
    return "\n".join([*lines, ""])


def _settings(results: Results) -> list[str]:
    """The settings in which any method was compared, in the order of the longest row."""
    longest = max(results.values(), key=len, default={})
    setting_names = (setting for row in results.values() for setting in row)
    return list(dict.fromkeys([*longest, *setting_names]))


def _shown(cell: Cell) -> dict[str, float]:
    facts = {fact: cell[fact] for fact in (LEARNING_RATE, CHANGED) if fact in cell}
    return facts | {LARGEST: max(cell[place] for place in COMPARED if place in cell)}


def _counted(differences: Sequence[float]) -> str:
    return f"{_text(max(differences))} ({len(differences)})" if differences else ""


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.0e}"
