"""Agreement and divergence against values by hand and scipy."""

import numpy as np
import pytest
from scipy import special, stats

from kd_keras.results.metrics import agreement


def scores(*classes, count=3):
    return np.eye(count)[list(classes)]


def test_agreement_by_hand():
    assert agreement.agreement(scores(0, 1, 2, 0), scores(0, 1, 1, 2)) == 0.5


def test_the_divergence_by_hand_is_that_of_the_teacher_from_the_student():
    # Teacher (3/4, 1/4), student (1/2, 1/2): 3/4 ln 3/2 + 1/4 ln 1/2 = 0.130812 nats.
    teacher, student = np.log([[3.0, 1.0]]), np.zeros((1, 2))
    assert agreement.predictive_kl(student, teacher) == pytest.approx(0.130812, abs=1e-6)


def test_the_divergence_is_scipys_in_pieces_too(monkeypatch):
    rng = np.random.default_rng(0)
    student, teacher = (3 * rng.normal(size=(50, 7)).astype("float32") for _ in range(2))
    p, q = (special.softmax(a.astype("float64"), axis=1) for a in (teacher, student))
    expected = special.rel_entr(p, q).sum(axis=1).mean()
    assert agreement.predictive_kl(student, teacher) == pytest.approx(expected)
    monkeypatch.setattr(agreement, "_ROWS", 8)
    assert agreement.predictive_kl(student, teacher) == pytest.approx(expected)
    assert agreement.predictive_kl(teacher, teacher) == pytest.approx(0, abs=1e-12)


def test_what_independent_models_agree_on_by_hand():
    labels = np.array([0, 0, 0, 0, 1, 1])
    student = np.array([0, 0, 0, 1, 1, 1])  # right on 3/4 of class 0, on all of class 1
    teacher = np.array([0, 0, 1, 1, 1, 0])  # right on 1/2 and 1/2
    # Class 0: 3/4 * 1/2 + 1/4 * 1/2 = 1/2; class 1: 1 * 1/2. Variance 1/4 of each image.
    expected, deviation = agreement.expected_if_independent(student, teacher, labels)
    assert expected == pytest.approx(0.5)
    assert deviation == pytest.approx(np.sqrt(6 * 0.25) / 6)


def test_independent_models_agree_as_often_as_expected():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 5, size=20_000)
    draw = [np.where(rng.random(20_000) < 0.7, labels, rng.integers(0, 5, 20_000)) for _ in "ab"]
    expected, deviation = agreement.expected_if_independent(*draw, labels)
    assert expected == pytest.approx(0.76**2 + 4 * 0.06**2, abs=0.01)
    result = np.mean(draw[0] == draw[1])
    # Within 3 deviations.
    assert abs(stats.norm.cdf((result - expected) / deviation) - 0.5) < 0.4987


def test_the_order_in_which_a_teacher_is_right_is_found():
    labels = np.repeat(np.arange(4), 10)
    meant = np.array([2, 0, 1, 3])  # it says 0 for our class 2, and so on
    predicted = np.argsort(meant)[labels]
    predicted[::9] = 3
    assert agreement.best_order(predicted, labels, num_classes=4).tolist() == meant.tolist()


def test_a_teacher_in_the_right_order_keeps_it_where_classes_are_never_said():
    labels = np.array([0, 1, 2, 3])
    assert agreement.best_order(np.zeros(4, int), labels, num_classes=4).tolist() == [0, 1, 2, 3]


def test_the_entry_of_results_json():
    labels = np.array([0, 0, 1, 1])
    student, teacher = scores(0, 1, 1, 1, count=2), scores(0, 0, 0, 1, count=2)
    entry = agreement.measure_agreement(student, teacher, labels)
    assert entry["agreement"] == 0.5
    assert entry["agreement_if_independent"] == pytest.approx(0.5)  # 1/2 * 1 and 1 * 1/2
    # Half of the images differ: KL((e, 1), (1, e)) / (e + 1) = (e - 1) / (e + 1).
    assert entry["predictive_kl"] == pytest.approx(0.5 * (np.e - 1) / (np.e + 1))
