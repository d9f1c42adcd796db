import numpy as np
import pytest
from scipy import stats

from kd_keras.results.metrics import statistics


def test_paired_interval_by_hand_and_as_scipys_t_test():
    # Mean 2, standard deviation 1, t(0.975, 2) = 4.302653: 2 -+ 4.302653 / sqrt(3).
    assert statistics.paired_interval([1.0, 2.0, 3.0]) == pytest.approx((2.0, -0.484138, 4.484138))
    values = np.random.default_rng(0).normal(3.0, 1.0, size=5)
    interval = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert statistics.paired_interval(values) == pytest.approx((values.mean(), *interval))


@pytest.mark.parametrize("differences", [[], [3.2], [3.2, float("nan")]])
def test_paired_interval_refuses_fewer_than_two_finite_seeds(differences):
    with pytest.raises(ValueError, match=r"expected two or more finite numbers, one per seed"):
        statistics.paired_interval(differences)


def test_bootstrap_interval_agrees_with_scipys_paired_bootstrap():
    generator = np.random.default_rng(1)
    correct_a = generator.random(400) < 0.6
    correct_b = correct_a ^ (generator.random(400) < 0.3)
    mean, low, high = statistics.bootstrap_interval(correct_a, correct_b, 0, samples=20_000)
    reference = stats.bootstrap(
        (correct_a.astype(float) - correct_b,),
        np.mean,
        method="percentile",
        n_resamples=20_000,
        rng=generator,
    ).confidence_interval
    assert mean == pytest.approx(correct_a.mean() - correct_b.mean())
    assert (low, high) == pytest.approx((reference.low, reference.high), abs=0.003)
    assert low < mean < high


def test_bootstrap_interval_is_paired_and_seeded():
    correct = np.random.default_rng(2).random(100) < 0.5
    assert statistics.bootstrap_interval(correct, correct, 0) == (0.0, 0.0, 0.0)
    other = np.roll(correct, 1)
    assert statistics.bootstrap_interval(correct, other, 5) == statistics.bootstrap_interval(
        correct, other, 5
    )


def test_bootstrap_interval_refuses_models_seen_on_different_images():
    with pytest.raises(ValueError, match=r"shape \(3,\) and correct_b \(2,\)"):
        statistics.bootstrap_interval(np.ones(3, bool), np.ones(2, bool), 0)


def test_mcnemar_by_hand():
    # a alone is right on 1 image, b alone on 7: 2 * (C(8, 0) + C(8, 1)) / 2**8 = 18 / 256.
    correct_a = np.array([True] * 10 + [True] + [False] * 7 + [False] * 3)
    correct_b = np.array([True] * 10 + [False] + [True] * 7 + [False] * 3)
    assert statistics.mcnemar(correct_a, correct_b) == (1, 7, pytest.approx(18 / 256))
    assert statistics.mcnemar(correct_b, correct_a) == (7, 1, pytest.approx(18 / 256))


def test_mcnemar_of_models_with_the_same_errors_is_1():
    correct = np.array([True, False, True])
    assert statistics.mcnemar(correct, correct) == (0, 0, 1.0)
    with pytest.raises(ValueError, match=r"expected \(N,\) for both, on the same images"):
        statistics.mcnemar(correct, correct[:2])


def test_holm_by_hand():
    # Sorted: 0.01 * 4, 0.02 * 3, 0.03 * 2, 0.04 * 1; each at least the one before.
    assert statistics.holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert statistics.holm([0.9, 0.8]) == [1.0, 1.0]
    assert statistics.holm([]) == []


def test_share_interval_is_wilsons():
    # n = 10, all right: low = 10 / (10 + 1.959964 ** 2) = 0.722467.
    assert statistics.share_interval(10, 10) == pytest.approx((0.722467, 1.0), abs=1e-6)
    low, high = statistics.share_interval(300, 400)
    assert low < 0.75 < high


def test_samples_that_are_centred_have_their_percentiles_as_interval():
    samples = np.linspace(-1, 1, 2001)
    interval = statistics.bias_corrected_interval(0.0, samples)
    np.testing.assert_allclose(interval, [-0.95, 0.95], atol=1e-6)


def test_samples_above_the_estimate_move_the_interval_down():
    samples = np.random.default_rng(0).normal(1, 1, 100_000)  # one deviation too high
    interval = statistics.bias_corrected_interval(0.0, samples)
    np.testing.assert_allclose(interval, [1 - 2 - 1.96, 1 - 2 + 1.96], atol=0.1)


def test_samples_without_a_value_do_not_count():
    samples = np.array([0.0, np.nan, 0.0])
    assert statistics.bias_corrected_interval(0.0, samples) == (0, 0)


def test_samples_without_a_value_have_no_interval():
    assert np.isnan(statistics.bias_corrected_interval(0.5, np.full(3, np.nan))).all()
