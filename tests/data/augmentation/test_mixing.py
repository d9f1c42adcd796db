import numpy as np
import pytest
from scipy import stats

from kd_keras.data.augmentation import Policy, mixing
from kd_keras.data.augmentation.draws import Draws

IDS = np.arange(4000)
DRAWS = Draws(IDS, 0, 0)


def mixture(height=64, width=64, **alphas):
    return mixing.mixture(DRAWS, Policy(**alphas), height, width)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_follow_beta(alpha):
    shares = mixture(mixup=alpha).shares / mixing.ONE
    edges = stats.beta(alpha, alpha).ppf(np.linspace(0, 1, 11))
    counts, _ = np.histogram(shares, bins=np.r_[-0.01, edges[1:-1], 1.01])
    assert stats.chisquare(counts).pvalue > 0.001


def test_a_share_by_hand():
    # With alpha 1, Beta is uniform; with 2, x = 1/2 is its middle.
    assert mixing.beta(np.array([0.25]), np.array([1.0])).tolist() == [mixing.ONE // 4]
    assert mixing.beta(np.array([0.5]), np.array([2.0])).tolist() == [mixing.ONE // 2]


def test_tiny_and_huge_alphas_give_shares():
    for alpha in (1e-9, 1e9):
        shares = mixture(mixup=alpha).shares
        assert shares.min() >= 0
        assert shares.max() <= mixing.ONE


def test_partners_are_a_permutation_that_belongs_to_the_view():
    ids = np.array([2, 3, 5, 8, 13, 21, 34, 55])
    views = [mixing.permutation(ids, view_seed=0, view=view) for view in range(200)]
    for partners in views:
        assert sorted(partners) == ids.tolist()
    counts = np.array([[np.sum([p[i] == j for p in views]) for j in ids] for i in range(len(ids))])
    assert stats.chisquare(counts.ravel()).pvalue > 0.001
    other = mixing.permutation(ids, view_seed=1, view=0)
    assert not np.array_equal(other, views[0])


def test_with_mixup_and_cutmix_half_of_the_images_get_each():
    boxes = mixture(mixup=1.0, cutmix=1.0).boxes
    assert stats.binomtest(int((boxes[:, 2] < 0).sum()), len(IDS)).pvalue > 0.001
    assert (mixture(mixup=1.0).boxes[:, 2] < 0).all()
    assert (mixture(cutmix=1.0).boxes[:, 2] >= 0).all()


@pytest.mark.parametrize(("height", "width"), [(8, 8), (64, 64), (20, 31)])
def test_cutmix_shares_are_the_shares_of_pixels(height, width):
    mixed = mixture(height, width, cutmix=1.0)
    images = np.zeros((len(IDS), height, width, 1), np.uint8)
    mixing.mix(images, np.ones_like(images), mixed)
    own = 1 - images.mean(axis=(1, 2, 3))
    np.testing.assert_allclose(mixed.label_shares(height, width), own, atol=1e-6)
    assert mixed.boxes.min() >= 0
    assert mixed.boxes[:, 2].max() <= width
    assert mixed.boxes[:, 3].max() <= height
    # Only boxes that stick out of the image are smaller than drawn.
    shares = mixed.shares / mixing.ONE
    assert (own >= shares - 1 / min(height, width)).all()


def test_middles_of_boxes_are_uniform():
    boxes = mixture(8, 8, cutmix=1e9).boxes  # all shares are 1/2: boxes of 6x6, cut at the border
    starts = boxes[:, 0]  # clipped: middles 0 to 3 begin at 0
    counts = np.bincount(starts, minlength=6)[:5]
    assert stats.chisquare(counts, np.array([4, 1, 1, 1, 1]) * len(IDS) / 8).pvalue > 0.001


def test_mixup_is_the_weighted_mean_rounded():
    rng = np.random.default_rng(0)
    images, partners = rng.integers(0, 256, (2, 300, 4, 4, 3)).astype(np.uint8)
    mixed = mixing.mixture(Draws(np.arange(300), 0, 0), Policy(mixup=1.0), 4, 4)
    share = (mixed.shares / mixing.ONE)[:, None, None, None]
    expected = np.floor(share * images + (1 - share) * partners + 0.5)
    mixing.mix(images, partners, mixed)
    np.testing.assert_array_equal(images, expected)


def test_labels_mix_with_the_same_share():
    shares = np.array([0.25, 1.0, 0.5], np.float32)
    soft = mixing.soft_labels(np.array([0, 1, 2]), np.array([2, 0, 2]), shares, 3)
    np.testing.assert_array_equal(soft, [[0.25, 0, 0.75], [0, 1, 0], [0, 0, 1]])
    assert soft.dtype == np.float32
