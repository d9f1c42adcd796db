"""What people and programs read of an evaluation on images of several classes."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from kd_keras.data.stores.store import Split
from kd_keras.results.evaluation import multi_label_evaluation
from kd_keras.results.evaluation.multi_label_evaluation import MultiLabelEvaluation
from kd_keras.results.terminal.screen import Screen


def evaluated(classes, **others):
    """30 images; the first class is ranked badly, and no image has the last one."""
    rng = np.random.default_rng(0)
    labels = (rng.random((30, classes)) < 0.5).astype(np.int32)
    labels[:, -1] = 0
    logits = (2.0 * labels - 1).astype(np.float32)
    logits[:, 0] *= -1
    split = Split(np.zeros((30, 8, 8, 3), np.uint8), labels, np.arange(30))
    return MultiLabelEvaluation.from_scores(
        logits,
        split,
        class_names=tuple(f"a rather long class name {index}" for index in range(classes)),
        **{"model": Path("student.onnx"), "format": "onnx", "dataset": "folder:/photos"},
        **{"split": "test", "megabytes": 1.25, "notes": ("a note",)},
        **others,
    )


@pytest.mark.parametrize("classes", [3, 25])
def test_lines_fit_80_columns_and_the_worst_class_comes_first(classes, capsys):
    multi_label_evaluation.show(evaluated(classes, folder=Path("out")), Screen())
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    rows = [line.split() for line in lines if line.startswith("a rather")]
    assert len(rows) == (3 if classes == 3 else 10)
    text = "\n".join(lines)
    title = "The 10 classes with the lowest average precision, of 25"
    assert (title in text) == (classes == 25)
    assert "mean average precision" in text
    assert "a note" in text
    assert "per_class.csv, evaluation.json" in text


def test_the_file_holds_the_numbers_and_no_image(tmp_path):
    result = evaluated(3, folder=tmp_path)
    multi_label_evaluation.write(tmp_path, result)
    stored = json.loads((tmp_path / "evaluation.json").read_text())
    assert stored["map"] == result.map
    assert stored["images"] == 30
    assert [row["average_precision"] for row in stored["per_class"]][1:] == [1.0, None]
    assert stored["model"] == "student.onnx"
    assert "predicted" not in stored
    with (tmp_path / "per_class.csv").open() as file:
        first, *_, last = csv.DictReader(file)
    assert first["class"] == result.class_names[0]
    assert int(first["positives"]) == result.per_class[0].positives
    assert last["average_precision"] == ""  # no image has the class
