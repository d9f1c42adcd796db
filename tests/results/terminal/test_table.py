import io
import json
import subprocess
import sys

import numpy as np
import pytest

from kd_keras import files
from kd_keras.results.terminal import table
from kd_keras.results.terminal.screen import Screen

SPREAD = {"batch1": 0.0456, "batch128": 0.00213}


def result(top1, **more):
    milliseconds = {"batch1": 1.23456, "batch128": 0.0456, "spread": SPREAD}
    return {
        "top1": top1,
        "top5": 0.5,
        "parameters": 36584,
        "milliseconds_per_image": milliseconds,
        **more,
    }


RESULTS = {
    "teacher": result(0.258),
    "baseline": None,
    "student": result(
        0.17349,
        export={"path": "a", "max_abs_difference": 1e-6, "megabytes": 0.412},
        seconds={"training": 1234.4, "measuring": 3.0},
    ),
}


def test_rows_show_percent_and_sizes_and_leave_out_what_was_not_asked_for():
    assert table.rows(RESULTS) == [
        ["teacher", "25.80", "50.00", "36,584", None, "1.23 ±0.05", "0.0456 ±0.002"],
        ["student distilled", "17.35", "50.00", "36,584", "0.41", "1.23 ±0.05", "0.0456 ±0.002"],
    ]
    with_baseline = table.rows({**RESULTS, "baseline": result(0.141)})
    assert [row[0] for row in with_baseline] == ["teacher", "student alone", "student distilled"]


@pytest.mark.parametrize(
    ("phases", "names"),
    [
        (["student"], ["student"]),
        (["baseline", "student"], ["student alone", "student"]),
        (
            ["teacher-1", "teacher-2", "teacher", "assistant-1", "student"],
            ["teacher 1", "teacher 2", "mean of the teachers", "assistant 1", "student distilled"],
        ),
        (
            ["teacher", "generation-1", "generation-2", "student"],
            ["teacher", "generation 1", "generation 2", "student distilled, generation 3"],
        ),
    ],
)
def test_rows_name_every_model_of_a_chain(phases, names):
    rows = table.rows({**dict.fromkeys(phases, result(0.5)), "data": {"summary": ""}})
    assert [row[0] for row in rows] == names


def test_the_time_spent_is_reported_of_every_model_that_was_trained():
    file = result(0.5, seconds={"training": None, "measuring": 2.0})
    alone = result(0.5, seconds={"training": 20.4, "measuring": 2.0})
    results = {"teacher": file, "baseline": alone, "student": RESULTS["student"]}
    assert table.time_spent(results) == (
        "Training took 1,255 s (student alone 20, student distilled 1,234), evaluating, exporting "
        "and timing 7 s"
    )


def test_the_best_epochs_are_reported_of_models_that_stopped_early():
    assert table.best_epochs(RESULTS) is None
    student = {**RESULTS["student"], "stop_early": {"best_epoch": 7, "epochs": 12}}
    line = table.best_epochs({**RESULTS, "student": student})
    assert line == "Best epoch, whose weights are kept: student distilled 7 of 12"


def test_the_table_has_a_line_for_each_model_and_a_dash_for_what_is_unknown(capsys):
    table.table(RESULTS, Screen())
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0] == ["Results"]
    times = ["1.23", "±0.05", "0.0456", "±0.002"]
    assert ["teacher", "25.80", "50.00", "36,584", "-", *times] in lines
    assert ["student", "distilled", "17.35", "50.00", "36,584", "0.41", *times] in lines
    assert " ".join(lines[-1]).startswith("ms/image: median ± half the interquartile range")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_table_fits_80_columns_and_no_cell_is_cut(monkeypatch):
    large = {
        "parameters": 25_557_032,
        "top1": 1.0,
        "top5": 1.0,
        "export": {"path": "a", "max_abs_difference": 0.0, "megabytes": 102.41},
    }
    phases = [
        *("teacher-1", "teacher-2", "teacher", "baseline", "assistant-1", "generation-1"),
        *("generation-2", "student"),
    ]
    results = {phase: {**result(1.0), **large} for phase in phases}
    several = {"spec": "resnet8:width=0.5", "methods": ["lskd:temperature=2,weight=9", "fitnet"]}
    results["student-2"] = {**result(1.0), **large, **several}
    monkeypatch.setattr("sys.stdout", stream := Terminal())
    for name, value in {"TERM": "dumb", "COLUMNS": "80", "LINES": "50"}.items():
        monkeypatch.setenv(name, value)
    table.table(results, Screen())
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    cells = ["100.00", "100.00", "25,557,032", "102.41", "1.23 ±0.05", "0.0456 ±0.002"]
    assert sum(line.endswith("  ".join(cells)) for line in lines) == len(results)
    column = "".join("".join(line[:17].split()) for line in lines)
    for phase in results:
        assert "".join(table.model_name(phase, results).split()) in column


def test_top5_is_left_out_under_ten_classes():
    few, ten = ({**RESULTS, "data": {"classes": count}} for count in (9, 10))
    assert "top-5\n%" not in table.columns(few)
    assert table.columns(ten) == list(table.COLUMNS)
    assert table.rows(few)[0] == ["teacher", "25.80", "36,584", None, *table.rows(ten)[0][5:]]


def test_without_times_their_columns_are_left_out(capsys):
    untimed = {"student": result(0.5, milliseconds_per_image=None)}
    table.table(untimed, Screen())
    assert "ms/image" not in capsys.readouterr().out
    assert table.rows(untimed) == [["student", "50.00", "50.00", "36,584", None]]


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        ({"batch1": 1234.56, "spread": {"batch1": 12.3}}, "1,235 ±12"),
        ({"batch1": 0.00123456, "spread": {"batch1": 0.0}}, "0.00123 ±0"),
        ({"batch1": 12.34}, "12.3"),  # of a run that an earlier version finished
    ],
)
def test_times_are_shown_without_exponents(milliseconds, text):
    rows = table.rows({"student": result(0.5, milliseconds_per_image=milliseconds)})
    assert rows[0][5:] == [text, None]


def test_json_is_written_whole_with_numpys_numbers(tmp_path):
    path = tmp_path / "run" / "results.json"
    files.write_json(path, {"top1": np.float32(0.5), "ids": np.arange(2), "path": tmp_path})
    assert json.loads(path.read_text()) == {"top1": 0.5, "ids": [0, 1], "path": str(tmp_path)}
    with pytest.raises(ValueError, match="top1 is nan; expected finite numbers"):
        files.write_json(path, {"top1": float("nan")})
    assert json.loads(path.read_text())["top1"] == 0.5
    assert [file.name for file in path.parent.iterdir()] == ["results.json"]


def test_the_module_imports_nothing_heavy():
    code = (
        "import sys, kd_keras.results.terminal.table\n"
        "heavy = {'tensorflow', 'keras', 'matplotlib', 'scipy', 'rich'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or None)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"validated_on_holdout": True}, "a held-out tenth of train"),
        ({"validated_on_holdout": False}, "validation"),
        ({"selected": True}, "a held-out tenth of train"),  # of an earlier version
        ({}, "validation"),
    ],
)
def test_the_images_of_the_evaluation_are_named(data, expected):
    assert table.evaluated_images({"data": data}) == expected
