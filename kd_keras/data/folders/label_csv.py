"""Reads a CSV file that says which classes each image has, in one of two layouts.

With two columns, the second lists an image's classes. With more, each column after the first is a
class, and its value is 0 or 1, also written as 0.0 and 1.0, or as false and true.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

LAYOUTS = (
    "the columns file and labels, such as `a.jpg,cat dog`, or file and one of 0 and 1 for each "
    "class"
)
_SEPARATORS = re.compile("[;|,]")  # of class names; without any, names are separated by blanks
_DELIMITER = re.compile("[,;\t]")  # of columns; Excel writes `;` where a comma is the decimal mark
_VALUES = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}


class Cells(NamedTuple):
    """A row of a CSV file: the number of its line, and its cells without blanks around them."""

    line: int
    cells: tuple[str, ...]


class Row(NamedTuple):
    """An image's row: the number of its line, the image's file as written, and its classes."""

    line: int
    file: str
    classes: frozenset[str]


@dataclass(frozen=True)
class LabelTable:
    """What a CSV file says.

    Attributes:
        class_names: its classes: those of the heading in its order, or all listed ones, sorted.
        rows: one for each image.
        faults: what is wrong with it, one sentence each, with the file and the line.
    """

    class_names: tuple[str, ...]
    rows: tuple[Row, ...]
    faults: tuple[str, ...]


def read(path: Path) -> list[Cells]:
    """All rows that are not empty; the first is the heading.

    The first comma, semicolon or tab of the heading is what separates the columns.

    Raises:
        ValueError: the file is empty, or no CSV in UTF-8.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = _DELIMITER.search(re.sub('"[^"]*"', "", file.readline()))
            file.seek(0)
            delimiter = "," if first is None else first[0]
            reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True, strict=True)
            rows = [Cells(reader.line_num, tuple(map(str.strip, row))) for row in reader if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"{path} cannot be read as a CSV file ({error}); expected one in UTF-8 with commas "
            "or semicolons between its columns. Save it in that form."
        ) from error
    rows = [row for row in rows if any(row.cells)]
    if len(rows) < 2:
        what = "is empty" if not rows else f"has a heading in line {rows[0].line} and no rows"
        raise ValueError(
            f"{path} {what}; expected a heading and a row for each image, with {LAYOUTS}. Write "
            "these rows."
        )
    return rows


def separated_by_blanks(tables: Iterable[Sequence[Cells]]) -> bool:
    """Whether blanks separate the names in lists of classes: no list has a `;`, `|` or comma."""
    lists = (row.cells[1] for rows in tables for row in rows[1:] if len(row.cells) == 2)
    return not any(_SEPARATORS.search(cell) for cell in lists)


def interpret(path: str, rows: Sequence[Cells], *, split_at_blanks: bool) -> LabelTable:
    """The classes of each image.

    Args:
        path: path of the file, for messages.
        rows: from `read`.
        split_at_blanks: see `separated_by_blanks`.
    """
    heading, *images = rows
    width = len(heading.cells)
    if width < 2:
        return _faulty_table(
            f"{path}, line {heading.line}: the heading has one column, {heading.cells[0]!r}; "
            f"expected {LAYOUTS}. Put commas or semicolons between the columns."
        )
    row_length_faults = [
        f"{path}, line {row.line}: it has {len(row.cells)} cells; expected {width}, as in the "
        "heading. A list of classes with commas needs quotation marks."
        for row in images
        if len(row.cells) != width
    ]
    no_name_faults = [
        f"{path}, line {row.line}: it names no file; expected one in the first column. Name it, or "
        "remove the row."
        for row in images
        if not row.cells[0]
    ]
    if row_length_faults or no_name_faults:
        return _faulty_table(*row_length_faults, *no_name_faults)
    if width == 2:
        return _table_of_lists(path, images, split_at_blanks=split_at_blanks)
    return _table_of_columns(path, heading, images)


def _table_of_lists(path: str, images: Sequence[Cells], *, split_at_blanks: bool) -> LabelTable:
    """The table of a file with a column of class lists.

    Args:
        path: path of the CSV file, for the messages.
        images: the rows below the heading.
        split_at_blanks: whether blanks separate the classes.
    """
    if {row.cells[1] for row in images} <= {"0", "1"}:
        return _faulty_table(
            f"{path}, line {images[0].line}: the only column beside the file has values of 0 and "
            "1, so there is one class; expected two or more classes. Add a column for each."
        )
    rows = tuple(
        Row(row.line, row.cells[0], frozenset(filter(None, map(str.strip, names))))
        for row in images
        for names in [row.cells[1].split() if split_at_blanks else _SEPARATORS.split(row.cells[1])]
    )
    names = sorted(frozenset[str]().union(*(row.classes for row in rows)))
    return LabelTable(tuple(names), rows, ())


def _table_of_columns(path: str, heading: Cells, images: Sequence[Cells]) -> LabelTable:
    """The table of a file with a column of 0 and 1 for each class.

    Args:
        path: path of the CSV file, for the messages.
        heading: the first row, with the names of the classes.
        images: the rows below it.
    """
    names = heading.cells[1:]
    location = f"{path}, line {heading.line}"
    if not all(names):
        return _faulty_table(
            f"{location}: column {names.index('') + 2} has no name; expected the name of a class. "
            "Name it, or remove the column."
        )
    if len(set(names)) < len(names):
        repeated_name = next(name for name in names if names.count(name) > 1)
        return _faulty_table(
            f"{location}: two columns are called {repeated_name!r}; expected each class once. "
            "Remove one."
        )
    value_faults = [
        f"{path}, line {row.line}: the class {name!r} has the value {value!r}; expected 0 or 1. "
        "Write one of these."
        for row in images
        for name, value in zip(names, row.cells[1:], strict=True)
        if value.lower() not in _VALUES
    ]
    rows = tuple(
        Row(row.line, row.cells[0], frozenset(n for n, v in pairs if _VALUES.get(v.lower())))
        for row in images
        for pairs in [list(zip(names, row.cells[1:], strict=True))]
    )
    return LabelTable(names, rows, tuple(value_faults))


def _faulty_table(*faults: str) -> LabelTable:
    return LabelTable((), (), faults)
