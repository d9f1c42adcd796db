"""Predictions as rows of a table, of a CSV file or of JSON lines, each written at once."""

import csv
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from kd_keras.job.prediction.images_to_predict import Item
from kd_keras.job.prediction.predictor import Prediction

FORMATS = ("table", "csv", "jsonl")
_BY_ENDING = {".csv": "csv", ".jsonl": "jsonl", ".json": "jsonl", ".ndjson": "jsonl"}
_SHORTEST_FILE, _LONGEST_CLASS = 12, 24  # characters of the table's columns
_OTHERS = 30  # characters left for the next classes, in a terminal


def format_of(suffix: str) -> str:
    """The format of an output file by the ending of its name, such as ".csv"."""
    return _BY_ENDING.get(suffix.lower(), "table")


class Rows:
    """Writes predictions as rows; a heading comes before the first.

    Args:
        row_format: one of `FORMATS`.
        file: where rows go; None writes none. sys.stdout is looked up at each row.
        items: all images to come, for the width of a table's columns.
        classes: names of all classes.
        top: classes in a row, or more than there are.
        multi_label: whether an image may have several classes, or none.
    """

    def __init__(
        self,
        row_format: str,
        file: TextIO | None,
        items: Sequence[Item],
        classes: Sequence[str],
        top: int,
        *,
        multi_label: bool = False,
    ):
        self.top = min(top, len(classes))
        self._file, self._is_stdout = file, file is sys.stdout
        self._heading: list[str] = []
        self._row: Callable[[Prediction], str] = _json
        if row_format == "csv":
            self._heading, self._row = self._csv_of_several() if multi_label else self._csv()
        elif row_format == "table":
            table_columns = self._table_of_several if multi_label else self._table
            self._heading, self._row = table_columns(items, classes)

    def write(self, prediction: Prediction) -> None:
        """Writes a row."""
        if self._file is None:
            return
        file = sys.stdout if self._is_stdout else self._file  # a progress bar replaces stdout
        for line in self._heading:
            print(line, file=file)
        self._heading = []
        print(self._row(prediction), file=file)

    @staticmethod
    def entry(prediction: Prediction) -> dict[str, Any]:
        """A prediction as JSON holds it."""
        classes = zip(prediction.classes, prediction.indices, prediction.probabilities, strict=True)
        return {
            "file": prediction.file,
            "predictions": [
                {"class": name, "index": index, "probability": round(probability, 6)}
                for name, index, probability in classes
            ],
        }

    def _csv(self) -> tuple[list[str], Callable[[Prediction], str]]:
        ends = ["", *(f"_{rank}" for rank in range(2, self.top + 1))]
        names = [f"{name}{end}" for end in ends for name in ("class", "probability")]

        def row(prediction: Prediction) -> str:
            pairs = _named_probabilities(prediction)
            return _csv_line([prediction.file, *(c for n, p in pairs for c in (n, f"{p:.6f}"))])

        return [_csv_line(["file", *names])], row

    def _csv_of_several(self) -> tuple[list[str], Callable[[Prediction], str]]:
        """Columns file, classes and their probabilities, each list separated by semicolons."""

        def row(prediction: Prediction) -> str:
            probabilities = ";".join(f"{p:.6f}" for _, p in _named_probabilities(prediction))
            return _csv_line([prediction.file, ";".join(prediction.classes), probabilities])

        return [_csv_line(["file", "classes", "probabilities"])], row

    def _table_of_several(
        self, items: Sequence[Item], classes: Sequence[str]
    ) -> tuple[list[str], Callable[[Prediction], str]]:
        """Columns file, and its classes with their probabilities in percent."""
        file_width = max(map(len, ["file", *(item.name or "" for item in items)]))

        def row(prediction: Prediction) -> str:
            class_list = ", ".join(
                f"{name} {100 * p:.1f}" for name, p in _named_probabilities(prediction)
            )
            return f"{prediction.file or '':<{file_width}}  {class_list or 'none'}"

        return [f"{'file':<{file_width}}  classes, %"], row

    def _table(
        self, items: Sequence[Item], classes: Sequence[str]
    ) -> tuple[list[str], Callable[[Prediction], str]]:
        """Columns file, class, its probability in percent, and the next classes."""
        terminal = self._file is not None and self._file.isatty()
        width = shutil.get_terminal_size().columns if terminal else None
        class_width = min(max(map(len, ["class", *classes])), _LONGEST_CLASS)
        file_width = max(map(len, ["file", *(item.name or "" for item in items)]))
        if width is not None:
            file_width = max(_SHORTEST_FILE, min(file_width, width - class_width - _OTHERS))

        def line(name: str, best_class: str, percent: str, other_classes: str) -> str:
            if len(name) > file_width:
                name = f"…{name[len(name) - file_width + 1 :]}"
            cells = [f"{name:<{file_width}}", f"{best_class:<{class_width}}", f"{percent:>5}"]
            text = "  ".join([*cells, other_classes]).rstrip()
            return text if width is None or len(text) <= width else f"{text[: width - 1]}…"

        def row(prediction: Prediction) -> str:
            (best_class, percent), *other_classes = [
                (name, f"{100 * p:.1f}") for name, p in _named_probabilities(prediction)
            ]
            others_text = ", ".join(" ".join(cells) for cells in other_classes)
            return line(prediction.file or "", best_class, percent, others_text)

        return [line("file", "class", "%", "next classes" if self.top > 1 else "")], row


def _named_probabilities(prediction: Prediction) -> list[tuple[str, float]]:
    return list(zip(prediction.classes, prediction.probabilities, strict=True))


def _json(prediction: Prediction) -> str:
    return json.dumps(Rows.entry(prediction), ensure_ascii=False)


def _csv_line(cells: Sequence[Any]) -> str:
    class Line(list[str]):
        write = list.append

    line = Line()
    csv.writer(line, lineterminator="").writerow(cells)
    return "".join(line)
