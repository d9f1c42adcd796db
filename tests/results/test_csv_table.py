import pytest

from kd_keras.results import csv_table


def test_cells_are_quoted_where_they_need_it_and_none_is_empty(tmp_path):
    csv_table.write(tmp_path / "a.csv", ["model", "top1"], [('a, "b"', 0.5), ("ö", None)])
    text = (tmp_path / "a.csv").read_bytes().decode("utf-8")
    assert text == 'model,top1\n"a, ""b""",0.5\nö,\n'


def test_a_table_that_fails_leaves_the_earlier_one(tmp_path):
    csv_table.write(tmp_path / "a.csv", ["n"], [[1]])
    with pytest.raises(ZeroDivisionError):
        csv_table.write(tmp_path / "a.csv", ["n"], ([1 // n] for n in (1, 0)))
    assert (tmp_path / "a.csv").read_text() == "n\n1\n"
