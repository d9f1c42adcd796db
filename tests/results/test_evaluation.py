import csv
import json
from pathlib import Path

import numpy as np
import pytest

from kd_keras.data.store import Split
from kd_keras.results import class_report, evaluation, wrong_images

NAMES = ("cat", "dog")


@pytest.fixture
def evaluated():
    """An evaluation of four images, one of them wrong, and their split."""
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    split = Split(images, np.array([0, 0, 1, 1], np.int32), np.arange(4))
    predicted = np.array([0, 1, 1, 1])
    result = evaluation.Evaluation(
        model=Path("runs/a/student.keras"),
        format="keras",
        dataset="folder:/pets",
        split="validation",
        images=4,
        class_names=NAMES,
        top1=0.75,
        top1_interval=(0.3, 0.95),
        top5=1.0,
        ece=0.1,
        per_class=class_report.rows(split.labels, predicted, NAMES),
        matrix=class_report.confusion_matrix(split.labels, predicted, 2),
        predicted=predicted,
        wrong=wrong_images.list_wrong_images(split, predicted, np.full(4, 0.75), NAMES),
        megabytes=0.5,
        notes=("a note",),
    )
    return result, split


def test_the_files_hold_the_numbers(evaluated, tmp_path):
    result, split = evaluated
    evaluation.write(tmp_path / "out", result, split)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("confusion.csv", "confusion.png", "evaluation.json", "per_class.csv"),
        *("wrong.csv", "wrong.png"),
    ]
    stored = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert (stored["top1"], stored["wrong"], stored["parameters"]) == (0.75, 1, None)
    assert stored["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert [row["name"] for row in stored["per_class"]] == ["cat", "dog"]
    with (tmp_path / "out" / "wrong.csv").open() as file:
        assert [row["file"] for row in csv.DictReader(file)] == ["id 1"]


def test_an_evaluation_without_errors_removes_the_sheet_of_an_earlier_one(evaluated, tmp_path):
    import dataclasses

    result, split = evaluated
    evaluation.write(tmp_path, result, split)
    evaluation.write(tmp_path, dataclasses.replace(result, wrong=()), split)
    assert not (tmp_path / "wrong.png").exists()
