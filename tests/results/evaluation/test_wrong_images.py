import csv

import numpy as np
import pytest
from PIL import Image

from kd_keras.data.stores.store import Split
from kd_keras.results.evaluation import wrong_images

NAMES = ("cat", "dog")
PREDICTED, CONFIDENCE = np.array([0, 1, 1, 0]), np.array([0.9, 0.6, 0.7, 0.8])


@pytest.fixture
def split(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), dtype=np.uint8)
    (tmp_path / "names.json").write_text('["a", "b", "c", "d", "e", "f"]')
    return Split(
        images,
        np.array([0, 0, 1, 1], np.int32),
        np.array([5, 1, 2, 3]),
        names_file=tmp_path / "names.json",
    )


def test_the_most_confident_errors_come_first(split, tmp_path):
    wrong = wrong_images.list_wrong_images(split, PREDICTED, CONFIDENCE, NAMES)
    assert [(one.file, one.truth, one.prediction) for one in wrong] == [
        ("d", "dog", "cat"),
        ("b", "cat", "dog"),
    ]
    wrong_images.write(tmp_path / "wrong.csv", wrong)
    with (tmp_path / "wrong.csv").open() as file:
        assert list(csv.reader(file)) == [
            ["file", "truth", "prediction", "confidence"],
            ["d", "dog", "cat", "0.800000"],
            ["b", "cat", "dog", "0.600000"],
        ]


def test_without_names_there_are_ids(split, tmp_path):
    (tmp_path / "names.json").unlink()
    wrong = wrong_images.list_wrong_images(split, PREDICTED, CONFIDENCE, NAMES)
    assert [one.file for one in wrong] == ["id 3", "id 1"]


def test_the_sheet_shows_the_pixels_of_the_wrong_images(split, tmp_path):
    wrong = wrong_images.list_wrong_images(split, PREDICTED, CONFIDENCE, NAMES)
    wrong_images.contact_sheet(tmp_path / "wrong.png", split, wrong)
    sheet = np.asarray(Image.open(tmp_path / "wrong.png"))
    np.testing.assert_array_equal(sheet[:120:15, :120:15, :1], split.images[3])
    assert (sheet[120:152, :120] < 128).any()  # two lines of text
