import csv
import json
from pathlib import Path

import numpy as np
import pytest

from kd_keras.data.stores.store import Split
from kd_keras.results.evaluation import evaluation

NAMES = ("cat", "dog")


@pytest.fixture
def evaluated():
    """An evaluation of four images, one of them wrong, and their split."""
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    split = Split(images, np.array([0, 0, 1, 1], np.int32), np.arange(4))
    logits = np.log(np.array([[3, 1], [1, 3], [1, 3], [1, 3]], np.float32))
    result = evaluation.Evaluation.from_scores(
        logits,
        np.full(4, 0.75),
        split,
        class_names=NAMES,
        model=Path("runs/a/student.keras"),
        format="keras",
        dataset="folder:/pets",
        split="validation",
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
