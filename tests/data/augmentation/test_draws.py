import numpy as np
import pytest
from scipy import stats

from kd_keras.data.augmentation.color import Grayscale
from kd_keras.data.augmentation.draws import Draws, purpose
from kd_keras.data.augmentation.geometry import Flip

IDS = np.arange(4000)
STEP = purpose("step")


def draws(ids=IDS, view_seed=0, view=0):
    return Draws(ids, view_seed, view)


def test_uniform_numbers_are_uniform_between_their_bounds():
    numbers = draws().uniform(STEP, 0, 2.0, 6.0)
    counts, _ = np.histogram(numbers, bins=16, range=(2, 6))
    assert counts.sum() == len(IDS)  # none outside
    assert stats.chisquare(counts).pvalue > 0.001


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.5, 1.0])
def test_an_event_happens_as_often_as_its_probability_says(probability):
    count = int(draws().happens(STEP, 0, probability).sum())
    assert stats.binomtest(count, len(IDS), probability).pvalue > 0.001


def test_a_draw_is_a_function_of_its_id_and_not_of_the_batch():
    together = draws().uniform(STEP, 3)
    for place in (0, 17, 3999):
        assert draws(IDS[place : place + 1]).uniform(STEP, 3)[0] == together[place]
    np.testing.assert_array_equal(draws().take(IDS[::2]).uniform(STEP, 3), together[::2])


@pytest.mark.parametrize(
    "other",
    [
        lambda: Flip().mirrored(draws(IDS + 1)),
        lambda: Flip().mirrored(draws(view=1)),
        lambda: Flip().mirrored(draws(view_seed=1)),
        lambda: [grey is True for grey in Grayscale(0.5).draw(draws(), 8, 8)],
        lambda: draws().happens(STEP, 0, 0.5),
    ],
    ids=["the next image", "the next view", "the next seed", "another step", "any purpose"],
)
def test_draws_of_an_image_are_independent_of(other):
    first, second = np.array(Flip().mirrored(draws())), np.array(other())
    table = [[np.sum((first == a) & (second == b)) for b in (0, 1)] for a in (0, 1)]
    assert stats.chi2_contingency(table).pvalue > 0.001


def test_places_of_one_step_differ():
    first, second = (draws().uniform(STEP, place) for place in (0, 1))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.06  # 3 to 4 standard deviations
