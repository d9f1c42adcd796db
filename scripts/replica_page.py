"""The results of scripts/replica_table.py as a table in docs/how-to/devices.md."""

from collections.abc import Mapping
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "how-to" / "devices.md"
BEGIN, END = "<!-- replicas: begin -->\n", "<!-- replicas: end -->\n"
# The largest relative difference by method, setting and place.
Results = Mapping[str, Mapping[str, Mapping[str, float]]]


def write(results: Results, teachers: Mapping[str, str]) -> None:
    PAGE.write_text(with_table(PAGE.read_text(), results, teachers))


def with_table(page: str, results: Results, teachers: Mapping[str, str]) -> str:
    """The page with the table of the results between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(results, teachers)}\n{END}{after}"


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
