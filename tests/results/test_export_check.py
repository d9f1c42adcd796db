from pathlib import Path

import numpy as np
import pytest

from kd_keras.exports.runtimes.scores import Scores
from kd_keras.results import export_check
from kd_keras.results.export_check import Reference
from kd_keras.results.terminal.screen import Screen

IMAGES = np.arange(200, dtype=np.uint8).reshape(200, 1, 1, 1)
LABELS = np.arange(200) % 2


def scores_of(answers):
    """Scores of a classifier of two classes that is sure of each answer."""
    logits = np.eye(2, dtype=np.float32)[np.asarray(answers)] * 10
    exponentials = np.exp(logits)
    return Scores(logits, exponentials / exponentials.sum(axis=-1, keepdims=True))


class File:
    """A classifier that answers with these classes, by the image's number."""

    path = Path("folder/student.tflite")

    def __init__(self, answers, logits=None):
        self.scores = scores_of(answers) if logits is None else Scores(logits, logits)

    def __call__(self, images):
        rows = images.ravel()
        return Scores(self.scores.logits[rows], self.scores.probabilities[rows])


@pytest.fixture
def reference():
    """A Keras model that is right on all images."""
    return Reference(IMAGES, LABELS, scores_of(LABELS), is_logits=True)


def test_an_equal_file(reference):
    entry = export_check.compare_answers(File(LABELS), reference, must_be_exact=True)
    assert entry == {
        **{"images": 200, "agreement": 1.0, "max_abs_difference": 0.0, "top1": 1.0},
        **{"change": 0.0, "low": 0.0, "high": 0.0},
    }


def test_ten_images_lost_of_two_hundred(reference):
    answers = LABELS.copy()
    answers[:10] = 1 - answers[:10]
    entry = export_check.compare_answers(File(answers), reference, must_be_exact=False)
    assert (entry["agreement"], entry["top1"], entry["change"]) == (
        0.95,
        0.95,
        pytest.approx(-0.05),
    )
    assert -0.09 < entry["low"] < -0.05 < entry["high"] < -0.015
    assert entry["max_abs_difference"] == pytest.approx(1 - 2 / (1 + np.exp(10)))


def test_noise_has_no_accuracy():
    reference = Reference(IMAGES, None, scores_of(LABELS), is_logits=True)
    entry = export_check.compare_answers(File(LABELS), reference, must_be_exact=True)
    assert set(entry) == {"images", "agreement", "max_abs_difference"}


@pytest.mark.parametrize(
    ("file", "exact", "message"),
    [
        (File(None, np.full((200, 2), np.nan)), False, "^student.tflite gives scores that are NaN"),
        (File(None, np.zeros((200, 3))), False, r"shape \(200, 3\); expected \(200, 2\)"),
        (
            File(1 - LABELS),
            True,
            "differs by 0.9999.* from the Keras model; expected at most 0.001",
        ),
        (File(None, scores_of(LABELS).logits * 2), True, "from the Keras model"),
    ],
)
def test_a_file_with_other_numbers_is_refused(reference, file, exact, message):
    with pytest.raises(ValueError, match=message):
        export_check.compare_answers(file, reference, must_be_exact=exact)


LOSS = {
    "quantize": "int8",
    "calibration_images": 500,
    "change": -0.024,
    "low": -0.04,
    "high": -0.01,
}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (
            {},
            "a.tflite loses 2.4 points of top-1 (95 % interval: 1.0 to 4.0). Try more calibration",
        ),
        ({"quantize": "float16"}, "(95 % interval: 1.0 to 4.0). Use --quantize none."),
        ({"high": 0.001}, None),
        ({"change": -0.009}, None),
    ],
)
def test_a_loss_of_more_than_a_point_is_reported_with_what_to_do(changed, expected):
    lines = export_check.losses({"a.tflite": {**LOSS, **changed}, "noise": {"agreement": 1.0}})
    assert len(lines) == (expected is not None)
    assert all(expected in line for line in lines)


def test_the_table_fits_80_columns(capsys):
    cost = {"megabytes": 12.345, "milliseconds_per_image": {"batch1": 12.3456, "batch128": 0.1}}
    file = {"agreement": 1.0, "max_abs_difference": 0.123, "top1": 0.5, **LOSS, **cost}
    entries = {"student.keras": cost, "student-float16.tflite": file}
    export_check.show("Files", entries, Screen())
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[-3].split() == [
        *("student-float16.tflite", "100.0", "50.0", "-4.0", "to", "-1.0", "0.1"),
        *("12.35", "0.10", "12.35"),
    ]


def test_cost_of_a_file(tmp_path):
    (tmp_path / "file").write_bytes(bytes(1500))
    cost = export_check.cost(File(LABELS), tmp_path / "file", IMAGES[:3])
    assert cost["megabytes"] == 0.0015
    assert set(cost["milliseconds_per_image"]) == {"batch1", "batch128", "spread"}
    assert export_check.cost(File(LABELS), None, IMAGES[:3])["megabytes"] is None
