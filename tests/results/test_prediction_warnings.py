"""Doubts on a run's predictions: what is said, and that sound pairs raise none."""

import numpy as np
import pytest

from kd_keras.results.prediction_warnings import low_agreement, order_of_classes, worse_teacher

NAMES = [f"class {i}" for i in range(10)]
LABELS = np.arange(1000) % 10


def model(accuracy, seed=0):
    """Predictions that are right with this probability and any of the classes otherwise."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(1000) < accuracy, LABELS, rng.integers(0, 10, 1000))


def test_a_teacher_with_all_classes_in_another_order_is_reported_with_its_accuracy():
    permuted = (model(0.9) + 3) % 10
    (line,) = order_of_classes("teacher", permuted, LABELS, NAMES)
    right, would = np.mean(permuted == LABELS), np.mean(model(0.9) == LABELS)
    assert (
        f"accuracy is {right:.1%}; with 10 of 10 classes reordered it would be {would:.1%}." in line
    )
    assert "It predicts 'class 0' on images of 'class 7'; 'class 1' on images of 'class 8';" in line
    assert line.endswith("(--teacher-class-names).")


def test_two_classes_that_are_exchanged_are_found_too():
    exchanged = np.arange(10)
    exchanged[[2, 5]] = 5, 2
    (line,) = order_of_classes("teacher", exchanged[model(0.8)], LABELS, NAMES)
    assert "; with 2 of 10 classes reordered it would be" in line
    assert "It predicts 'class 2' on images of 'class 5'" in line


@pytest.mark.parametrize("accuracy", [0.0, 0.2, 0.5, 0.99])
def test_a_weak_or_strong_teacher_in_order_raises_no_doubt(accuracy):
    for seed in range(20):
        few = model(accuracy, seed)[:60]
        assert order_of_classes("teacher", few, LABELS[:60], NAMES) == []
        assert order_of_classes("teacher", model(accuracy, seed), LABELS, NAMES) == []


def test_a_teacher_that_confuses_two_classes_or_says_one_alone_raises_no_doubt():
    confused = np.where(LABELS == 3, 4, LABELS)  # all of one class: it says 4 on 3 and on 4
    assert order_of_classes("teacher", confused, LABELS, NAMES) == []
    assert order_of_classes("teacher", np.full(1000, 7), LABELS, NAMES) == []


def test_models_that_agree_less_than_unrelated_ones_are_reported():
    teacher, student = LABELS.copy(), LABELS.copy()
    half = np.arange(1000) // 10 % 2 == 0  # of each class
    teacher[half] += 1
    student[~half] += 1
    (line,) = low_agreement("student", "teacher", student, teacher, LABELS)
    # Unrelated, both were right on a quarter of the images, and said label + 1 on another.
    assert line.startswith(
        "the student and the teacher predict the same class on 0.0% of the images;"
    )
    assert "would on about 50.0%" in line


def by_class(accuracy, seed):
    """As `model`, with images that are harder for every model."""
    hard = np.random.default_rng(9).random(1000)
    return np.where(hard < accuracy, LABELS, model(0.1, seed))


@pytest.mark.parametrize("pair", [(0.9, 0.7), (0.5, 0.4), (0.98, 0.97)])
def test_unrelated_and_related_models_raise_no_doubt(pair):
    for make in (model, by_class):
        for seed in range(20):
            student, teacher = make(pair[1], seed), make(pair[0], 100 + seed)
            assert low_agreement("student", "teacher", student, teacher, LABELS) == []


def test_a_teacher_that_is_measurably_worse_is_reported():
    (line,) = worse_teacher("student", "teacher", model(0.9), model(0.6, 1), LABELS, seed=0)
    assert line.startswith("the teacher is worse than the student that it taught (6")
    assert "95 % interval" in line
    for teacher in (model(0.9, 1), model(0.95, 2)):  # about as good, and better
        result = worse_teacher("student", "teacher", model(0.9), teacher, LABELS, seed=0)
        assert result == []


def test_a_teacher_that_is_wrong_on_five_more_images_is_not_reported():
    student, teacher = LABELS.copy(), LABELS.copy()
    teacher[:5] = (LABELS[:5] + 1) % 10
    assert worse_teacher("student", "teacher", student, teacher, LABELS, seed=0) == []
