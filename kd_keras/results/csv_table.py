"""Tables as CSV files, for spreadsheets and scripts."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from kd_keras import files


def write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes a table, whole or not at all; None is an empty cell.

    Args:
        path: the file.
        columns: headings.
        rows: cells of each line.
    """
    with (
        files.atomic_write(path) as new_path,
        new_path.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
