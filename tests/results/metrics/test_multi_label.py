"""Scores of images with several classes, against scikit-learn's and against counts by hand."""

from statistics import NormalDist

import numpy as np
import pytest
from sklearn import metrics

from kd_keras.results.metrics import multi_label

LABELS = np.array([[1, 0, 1], [0, 0, 1], [1, 0, 0], [0, 0, 0]])
LOGITS = np.array([[2.0, -1, 1], [1, -2, -1], [0.5, -1, -2], [-3, -1, -1]])


def random_data(seed=0, images=200, classes=5, steps=9):
    rng = np.random.default_rng(seed)
    labels = (rng.random((images, classes)) < rng.uniform(0.05, 0.6, classes)).astype(int)
    return labels, rng.integers(0, steps, (images, classes)) / 3 - 1  # many equal scores


def test_average_precision_by_hand():
    # Class 0: ranked image 0 (has it), 1, 2 (has it), 3: (1/1 + 2/3) / 2. Class 2: image 0, then
    # images 1 and 3 of equal score: (1/1 + 2/3) / 2. No image has class 1.
    expected = [5 / 6, np.nan, 5 / 6]
    np.testing.assert_allclose(multi_label.average_precisions(LABELS, LOGITS), expected)
    assert multi_label.mean_average_precision(LABELS, LOGITS) == pytest.approx(5 / 6)


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_and_f1_are_those_of_scikit_learn(seed):
    labels, logits = random_data(seed)
    result = multi_label.measure(labels, logits)
    answers = logits >= 0
    assert result == pytest.approx(
        {
            "map": metrics.average_precision_score(labels, logits, average="macro"),
            "f1": metrics.f1_score(labels, answers, average="macro"),
            "micro_f1": metrics.f1_score(labels, answers, average="micro"),
        }
    )


def test_rows_of_classes():
    first, second, third = multi_label.rows(LABELS, LOGITS, ["a", "b", "c"])
    assert (first.precision, first.recall, first.f1) == pytest.approx((2 / 3, 1, 0.8))
    assert (first.positives, first.predicted) == (2, 3)
    assert second == multi_label.LabelRow("b", None, None, None, None, 0, 0)
    assert (third.precision, third.recall, third.f1) == pytest.approx((1, 0.5, 2 / 3))


def test_images_without_any_class_have_no_score():
    with pytest.raises(ValueError, match="none of the 2 images has any of the classes"):
        multi_label.measure(np.zeros((2, 3), int), np.zeros((2, 3)))


def test_a_difference_of_equal_models_is_zero_and_that_of_a_perfect_one_is_not():
    labels, logits = random_data()
    assert multi_label.difference(labels, logits, logits, seed=0, samples=50) == (0, 0, 0)
    mean, low, high = multi_label.difference(labels, labels, logits, seed=0, samples=200)
    assert mean == pytest.approx(1 - multi_label.mean_average_precision(labels, logits))
    assert 0 < low < mean < high


def test_the_interval_is_that_of_samples_drawn_one_by_one():
    labels, logits = random_data(images=60, classes=3)
    rng = np.random.default_rng(1)
    samples = [rng.integers(0, 60, 60) for _ in range(1000)]
    each = [multi_label.mean_average_precision(labels[d], logits[d]) for d in samples]
    estimate = multi_label.mean_average_precision(labels, logits)
    shift = 2 * NormalDist().inv_cdf(np.mean(each < np.array(estimate)))
    expected = np.quantile(each, [NormalDist().cdf(shift + z) for z in (-1.96, 1.96)])
    np.testing.assert_allclose(multi_label.interval(labels, logits, seed=0), expected, atol=0.02)


def test_the_interval_of_few_images_holds_the_score_of_many():
    def data(rng, count):
        labels = (rng.random((count, 4)) < 0.25).astype(int)
        return labels, rng.normal(size=(count, 4)) + 0.5 * labels

    rng = np.random.default_rng(0)
    of_many = multi_label.mean_average_precision(*data(rng, 20_000))
    intervals = [multi_label.interval(*data(rng, 60), seed=0, samples=200) for _ in range(60)]
    held = np.mean([low <= of_many <= high for low, high in intervals])
    assert held > 0.8  # the percentile bootstrap's intervals hold it 7 times in 10


def test_agreement_by_hand():
    student, teacher = np.array([[0.0, -1.0]]), np.array([[np.log(3), 1.0]])
    result = multi_label.measure_agreement(student, teacher)
    assert result["agreement"] == 0.5
    q = 1 / (1 + np.exp(-1))
    first = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)
    second = q * np.log(q / (1 - q)) + (1 - q) * np.log((1 - q) / q)
    assert result["predictive_kl"] == pytest.approx((first + second) / 2)


def test_samples_in_which_no_image_has_a_class_have_no_score():
    # The only image with a class is ranked first, so each sample that holds it scores 1.
    labels, scores = np.zeros((5, 2), int), np.zeros((5, 2))
    labels[0, 0] = scores[0, 0] = 1
    assert multi_label.interval(labels, scores, seed=0) == (1, 1)
    assert multi_label.difference(labels, scores, scores, seed=0) == (0, 0, 0)
