"""What people read of an evaluation, at 80 columns."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from kd_keras.results.evaluation import class_report, evaluation_table
from kd_keras.results.evaluation.evaluation import Evaluation
from kd_keras.results.terminal.screen import Screen


def evaluated(classes):
    labels = np.arange(classes).repeat(3)
    predicted = np.where(np.arange(len(labels)) == 0, classes - 1, labels)
    names = tuple(f"a rather long class name {index}" for index in range(classes))
    return Evaluation(
        **{"model": Path("student.tflite"), "format": "litert", "dataset": "digits"},
        **{"split": "test", "images": len(labels), "class_names": names, "ece": 0.0123},
        **{"top1": 0.5, "top1_interval": (0.25, 0.75), "top5": 0.875, "predicted": predicted},
        per_class=class_report.rows(labels, predicted, names),
        matrix=class_report.confusion_matrix(labels, predicted, classes),
        **{"wrong": (), "megabytes": 1.25, "notes": ("a note",), "folder": Path("out")},
        milliseconds_per_image={"batch1": 2.5, "batch128": 0.25, "spread": {"batch1": 0.5}},
    )


@pytest.mark.parametrize("classes", [2, 200])
def test_lines_fit_80_columns(classes, capsys, monkeypatch):
    result = evaluated(classes)
    result.milliseconds_per_image["spread"]["batch128"] = 0.01
    evaluation_table.show(result, Screen())
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line.rstrip()) for line in lines if "mistaken" not in line) <= 80
    text = "\n".join(lines)
    assert "25.00% to 75.00%" in text
    assert "2.5 ± 0.5" in text
    assert ("top-5" in text) == (classes == 200)
    assert ("The 10 classes with the lowest F1, of 200" in text) == (classes == 200)
    assert "unknown" in text  # a LiteRT file does not say its parameters
    assert "a note" in text


def test_the_teacher_has_its_lines_if_there_is_one(capsys):
    result = dataclasses.replace(
        evaluated(2),
        milliseconds_per_image=None,
        teacher={"model": "t", "top1": 0.9, "agreement": 0.8, "predictive_kl": 0.1},
    )
    evaluation_table.show(result, Screen())
    out = capsys.readouterr().out
    assert "agreement with the teacher" in out
    assert "80.00%" in out
    assert "ms/image" not in out
