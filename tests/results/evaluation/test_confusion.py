import csv

import numpy as np
import pytest
from PIL import Image

from kd_keras.results.evaluation import confusion


def random_matrix(count):
    rng = np.random.default_rng(count)
    return rng.integers(0, 3, (count, count)) + np.diag(rng.integers(10, 60, count))


@pytest.mark.parametrize("count", [2, 10, 200])
def test_the_picture_has_room_for_every_class(tmp_path, count):
    names = [f"class number {index}" for index in range(count)]
    path = tmp_path / "matrix.png"
    confusion.picture(path, random_matrix(count), names, title="student on validation: 90 %")
    with Image.open(path) as picture:
        assert min(picture.size) >= max(200, 8 * count)
        assert max(picture.size) <= 2600


def test_a_class_name_may_hold_a_dollar_and_be_long(tmp_path):
    path = tmp_path / "a.png"
    confusion.picture(path, np.eye(2, dtype=int), ["$x", "y" * 99], title="$")
    with Image.open(path) as picture:
        assert 200 <= min(picture.size) <= max(picture.size) <= 2600


def test_csv_has_names_on_both_sides(tmp_path):
    confusion.write(tmp_path / "a.csv", np.array([[5, 1], [0, 7]]), ["cat, small", "dog"])
    with (tmp_path / "a.csv").open() as file:
        assert list(csv.reader(file)) == [
            ["true class \\ predicted", "cat, small", "dog"],
            ["cat, small", "5", "1"],
            ["dog", "0", "7"],
        ]


def test_worst_pairs_are_the_largest_numbers_beside_the_diagonal():
    matrix = np.array([[90, 1, 4], [0, 80, 0], [7, 0, 70]])
    assert confusion.worst_pairs(matrix, num_pairs=2) == [(2, 0, 7), (0, 2, 4)]
    assert confusion.worst_pairs(np.diag([3, 4]), num_pairs=2) == []
