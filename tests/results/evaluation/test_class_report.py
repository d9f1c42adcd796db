import numpy as np
import pytest

from kd_keras.results.evaluation import class_report

# Truth and answers of 8 images; class "d" has no images and is never given.
LABELS = np.array([0, 0, 0, 0, 1, 1, 2, 2])
PREDICTED = np.array([0, 0, 1, 1, 1, 2, 1, 1])
NAMES = ("a", "b", "c", "d")


def test_scores_by_hand():
    a, b, c, d = class_report.rows(LABELS, PREDICTED, NAMES)
    assert (a.precision, a.recall, a.f1) == (1.0, 0.5, pytest.approx(2 / 3))
    assert (b.precision, b.recall, b.f1) == (0.2, 0.5, pytest.approx(2 / 7))
    assert (c.precision, c.recall, c.f1) == (0.0, 0.0, 0.0)
    assert (d.precision, d.recall, d.f1, d.support, d.predicted) == (None, None, None, 0, 0)
    assert [row.taken_for for row in (a, b, c, d)] == ["b", "c", "b", ""]
    assert [row.support for row in (a, b, c)] == [4, 2, 2]
    assert [row.predicted for row in (a, b, c)] == [2, 5, 1]


def test_a_mean_leaves_out_classes_without_the_score():
    rows = class_report.rows(LABELS, PREDICTED, NAMES)
    assert class_report.macro(rows, "f1") == pytest.approx((2 / 3 + 2 / 7 + 0) / 3)


def test_the_matrix_has_true_classes_in_rows():
    matrix = class_report.confusion_matrix(LABELS, PREDICTED, 4)
    expected = [[2, 2, 0, 0], [0, 1, 1, 0], [0, 2, 0, 0], [0, 0, 0, 0]]
    assert matrix.tolist() == expected


def test_the_file_has_empty_cells_where_there_is_no_score(tmp_path):
    class_report.write(tmp_path / "a.csv", class_report.rows(LABELS, PREDICTED, NAMES))
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines[0] == "class,precision,recall,f1,support,predicted,most often taken for"
    assert lines[4] == "d,,,,0,0,"
