"""Calibration against values by hand, scikit-learn and scipy."""

import math

import numpy as np
import pytest
from scipy import optimize, special
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss

from kd_keras.results.metrics import calibration


@pytest.fixture(scope="module")
def overconfident():
    """(logits, labels) of 2,000 images and 4 classes: 2.5 times the logits that labels follow."""
    rng = np.random.default_rng(0)
    true = rng.normal(scale=1.5, size=(2000, 4))
    labels = np.array([rng.choice(4, p=p) for p in special.softmax(true, axis=1)])
    return (2.5 * true).astype("float32"), labels


def of_confidences(*confidences):
    """Logits of two classes; the first has these probabilities."""
    return np.array([[math.log(p / (1 - p)), 0.0] for p in confidences])


def test_the_error_by_hand():
    # Bins of 1/2: confidence 0.9 right, 0.8 wrong, 0.7 right. |2/3 - 0.8| in the upper one.
    logits, labels = of_confidences(0.9, 0.8, 0.7), np.array([0, 1, 0])
    assert calibration.ece(logits, labels, num_bins=2) == pytest.approx(0.8 - 2 / 3)
    # Bins of 1/10: (0.8, 0.9], (0.7, 0.8] and (0.6, 0.7] hold one each: gaps 0.1, 0.8 and 0.3.
    assert calibration.ece(logits, labels, num_bins=10) == pytest.approx((0.1 + 0.8 + 0.3) / 3)
    assert calibration.nll(logits, labels) == pytest.approx(
        -(math.log(0.9) + math.log(0.2) + math.log(0.7)) / 3
    )


def test_a_bin_holds_its_upper_bound_and_an_empty_one_has_no_means():
    low, high = calibration.bins(of_confidences(0.5), np.array([1]), num_bins=2)
    assert (low["images"], high["images"]) == (1, 0)  # confidence 1/2 is in (0, 1/2]
    assert (low["confidence"], low["accuracy"]) == (0.5, 0.0)
    assert (high["confidence"], high["accuracy"]) == (None, None)
    assert (high["low"], high["high"]) == (0.5, 1.0)
    sure = calibration.bins(np.array([[1e4, 0.0]]), np.array([0]))
    assert [part["images"] for part in sure] == [0] * 14 + [1]


def test_the_diagram_is_that_of_scikit_learn(overconfident):
    logits, labels = overconfident
    confidence = special.softmax(logits.astype("float64"), axis=1).max(axis=1)
    right = logits.argmax(axis=1) == labels
    accuracies, confidences = calibration_curve(right, confidence, n_bins=15)
    full = [part for part in calibration.bins(logits, labels) if part["images"]]
    np.testing.assert_allclose([part["accuracy"] for part in full], accuracies)
    np.testing.assert_allclose([part["confidence"] for part in full], confidences)
    counts = np.histogram(confidence, np.linspace(0, 1, 16))[0]
    gaps = np.abs(accuracies - confidences) * counts[counts > 0] / len(labels)
    assert calibration.ece(logits, labels) == pytest.approx(gaps.sum())


def test_the_likelihood_is_that_of_scikit_learn_in_pieces_too(overconfident, monkeypatch):
    logits, labels = overconfident
    expected = log_loss(labels, special.softmax(logits.astype("float64") / 1.7, axis=1))
    assert calibration.nll(logits, labels, temperature=1.7) == pytest.approx(expected)
    ece = calibration.ece(logits, labels)
    monkeypatch.setattr(calibration, "_ROWS", 300)
    assert calibration.nll(logits, labels, temperature=1.7) == pytest.approx(expected)
    assert calibration.ece(logits, labels) == ece


def test_the_best_temperature_is_that_of_another_search(overconfident):
    logits, labels = overconfident
    result = calibration.best_temperature(logits, labels)
    rows = logits.astype("float64")

    def loss(inverse):  # convex in 1 / temperature
        return log_loss(labels, special.softmax(rows * inverse, axis=1))

    reference = 1 / optimize.brent(loss, brack=(0.1, 1.0))
    assert result == pytest.approx(reference, rel=1e-3)
    assert result == pytest.approx(2.5, rel=0.1)  # what the logits were multiplied by


def test_a_model_that_is_always_right_gets_a_finite_temperature():
    logits, labels = np.eye(3)[[0, 1, 2, 0]], np.array([0, 1, 2, 0])
    assert 0.01 <= calibration.best_temperature(logits, labels) < 0.05


def test_the_entry_is_fitted_on_one_half_and_measured_on_the_other(overconfident):
    logits, labels = overconfident
    entry = calibration.measure_calibration(logits, labels)
    assert (entry["images"], entry["fitted_on"], entry["measured_on"]) == (2000, 1000, 1000)
    fitted, measured = np.split(np.random.default_rng(0).permutation(2000), 2)
    assert entry["temperature"] == calibration.best_temperature(logits[fitted], labels[fitted])
    assert entry["ece_before"] == calibration.ece(logits[measured], labels[measured])
    assert entry["nll_after"] < entry["nll_before"]
    assert entry["ece_after"] < 0.4 * entry["ece_before"]
    assert sum(part["images"] for part in entry["bins"]) == 2000


def test_one_image_has_no_halves():
    entry = calibration.measure_calibration(np.array([[1.0, 0.0]]), np.array([0]))
    assert set(entry) == {"images", "ece", "nll", "bins"}
