import numpy as np
import pytest

from kd_keras.results.metrics import chance


@pytest.mark.parametrize(
    ("classes", "images", "bound"),
    [
        (2, 20, 0.75),  # three standard errors would be 0.835: half of the way at most
        (2, 100, 2 / 3),  # 0.65 by the standard errors, a third of the way is more
        (2, 10_000, 2 / 3),
        (3, 300, 5 / 9),
        (7, 700, 3 / 7),  # both forms of the first bound meet
        (10, 360, 0.3),
        (10, 20, 0.1 + 3 * (0.09 / 20) ** 0.5),  # 0.301
        (200, 10_000, 0.015),
        (1000, 50_000, 0.003),
        (21_000, 50_000, 3 / 21_000),
        (21_000, 1_000, 1 / 21_000 + 3 * (20_999 / 21_000**2 / 1_000) ** 0.5),
    ],
)
def test_the_bound_scales_with_classes_and_images(classes, images, bound):
    assert chance.weak_below(1 / classes, images) == pytest.approx(bound, rel=1e-9)


@pytest.mark.parametrize(
    ("classes", "images", "top1", "weak"),
    [
        (2, 20, 1.0, False),
        (2, 4, 1.0, False),  # so few that luck cannot be ruled out: it is let through
        (2, 10_000, 0.51, True),
        (2, 10_000, 0.70, False),
        (3, 60, 0.40, True),
        (3, 60, 0.90, False),
        (200, 10_000, 0.32, False),
        (200, 10_000, 0.01, True),
        (1000, 50_000, 0.32, False),
        (21_000, 50_000, 0.001, False),
    ],
)
def test_a_teacher_is_judged_alike_for_any_number_of_classes(classes, images, top1, weak):
    assert (top1 < chance.weak_below(1 / classes, images)) is weak


def test_chance_is_the_share_of_the_most_frequent_class():
    assert chance.majority_accuracy(np.array([0, 1, 1, 1])) == 0.75
    assert chance.majority_accuracy(np.arange(10)) == 0.1


def test_a_teacher_that_always_names_the_most_frequent_class_is_refused_with_the_numbers():
    labels = np.array([0] * 90 + [1] * 10)
    with pytest.raises(
        ValueError, match=r"top-1 is 90.00% on 100 images; expected at least 95.00%.*gives 90.00%"
    ):
        chance.require_better("teacher", 0.90, labels)
    chance.require_better("teacher", 0.99, labels)
