"""The results of scripts/replica_table.py as tables in docs/how-to/devices.md."""

from collections.abc import Callable, Mapping
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "how-to" / "devices.md"
BEGIN, END = "<!-- replicas: begin -->\n", "<!-- replicas: end -->\n"
QUICK = "eager"  # the setting of few steps; the others are trained in full
# The largest relative difference by method, setting and place.
Results = Mapping[str, Mapping[str, Mapping[str, float]]]


def write(results: Results, teachers: Mapping[str, str]) -> None:
    PAGE.write_text(with_tables(PAGE.read_text(), results, teachers))


def with_tables(page: str, results: Results, teachers: Mapping[str, str]) -> str:
    """The page with tables of the full and of the quick trainings between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    full = table(_of_settings(results, lambda setting: setting != QUICK), teachers)
    quick = table(_of_settings(results, lambda setting: setting == QUICK), teachers)
    text = (
        f"In full, 20 compiled steps:\n\n{full}\nQuick, 4 steps that are not compiled:\n\n{quick}"
    )
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def _of_settings(results: Results, belongs: Callable[[str], bool]) -> Results:
    """The cells of some settings, of the methods that have such cells."""
    rows = {
        name: {setting: cell for setting, cell in row.items() if belongs(setting)}
        for name, row in results.items()
    }
    return {name: row for name, row in rows.items() if row}


def table(results: Results, teachers: Mapping[str, str]) -> str:
    """The results in Markdown, a line for each method.

    Args:
        results: the largest relative difference by method, setting and place.
        teachers: by method, where the outputs of its teacher come from.
    """
    columns = list(
        dict.fromkeys((s, p) for row in results.values() for s, cell in row.items() for p in cell)
    )
    heads = [f"{setting}, {place}" for setting, place in columns]
    lines = [
        f"| method | teacher | {' | '.join(heads)} |",
        "| --- | --- |" + " ---: |" * len(columns),
    ]
    for name, row in results.items():
        values = [row.get(setting, {}).get(place) for setting, place in columns]
        cells = ["" if value is None else f"{value:.0e}" for value in values]
        lines.append(f"| `{name}` | {teachers[name]} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])
