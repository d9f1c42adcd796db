import io
import json

from kd_keras.cli.prediction_rows import Rows, format_of
from kd_keras.job.prediction.images_to_predict import Item
from kd_keras.job.prediction.predictor import Prediction

ONE = Prediction("a, b.png", ("cat", "dog"), (1, 0), (0.75, 0.25))


class Terminal(io.StringIO):
    def isatty(self):
        return True


def rows(row_format, file, name="a, b.png"):
    return Rows(row_format, file, [Item(name, b"")], ("dog", "cat"), 5)


def test_csv_quotes_and_numbers_its_columns():
    file = io.StringIO()
    rows("csv", file).write(ONE)
    assert file.getvalue() == (
        'file,class,probability,class_2,probability_2\n"a, b.png",cat,0.750000,dog,0.250000\n'
    )


def test_json_lines_have_names_and_numbers_of_classes():
    file = io.StringIO()
    rows("jsonl", file).write(ONE)
    best = {"class": "cat", "index": 1, "probability": 0.75}
    assert json.loads(file.getvalue())["predictions"][0] == best


def test_a_terminal_cuts_paths_at_their_start_and_lines_at_80_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    file, name = Terminal(), f"{'folder/' * 20}a.png"
    rows("table", file, name).write(Prediction(name, ("cat", "d" * 80), (1, 0), (0.75, 0.25)))
    heading, line = file.getvalue().splitlines()
    assert len(line) == 80
    assert line.startswith("…")
    assert "/a.png  cat     75.0  ddd" in line
    assert heading.index("%") == line.index("75.0") + 3


def test_a_file_is_not_cut():
    file, name = io.StringIO(), f"{'folder/' * 20}a.png"
    rows("table", file, name).write(Prediction(name, ("cat",), (1,), (0.75,)))
    assert file.getvalue().splitlines()[1] == f"{name}  cat     75.0"


def test_the_ending_chooses_the_format():
    assert [format_of(end) for end in (".CSV", ".json", ".txt", "")] == [
        *("csv", "jsonl", "table", "table")
    ]
