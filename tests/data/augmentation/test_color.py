import colorsys

import numpy as np
import pytest
from scipy import stats

from kd_keras.data.augmentation.color import Blur, ColorJitter, Grayscale
from kd_keras.data.augmentation.draws import Draws

DRAWS = Draws(np.arange(4800), 0, 0)


def test_jitter_draws_uniform_factors_in_a_random_order():
    changes = ColorJitter(0.4, 0.4, 0.4, 0.1).draw(DRAWS, 8, 8)
    orders = [tuple(place for place, _ in image) for image in changes]
    counts = [orders.count(order) for order in sorted(set(orders))]
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > 0.001
    for place, low, high in [(0, 0.6, 1.4), (1, 0.6, 1.4), (2, 0.6, 1.4), (3, -0.1, 0.1)]:
        amounts = [dict(image)[place] for image in changes]
        counts, _ = np.histogram(amounts, bins=10, range=(low, high))
        assert counts.sum() == 4800
        assert stats.chisquare(counts).pvalue > 0.001


def test_jitter_without_a_part_leaves_it_out():
    changes = ColorJitter(brightness=0, contrast=0.2, saturation=0, hue=0).draw(DRAWS, 8, 8)
    assert {tuple(place for place, _ in image) for image in changes} == {(1,)}


def test_nothing_is_jittered_with_probability_0(photos, seen_by):
    images = photos(10)
    step = ColorJitter(probability=0)
    np.testing.assert_array_equal(seen_by(step, images), images)


@pytest.mark.parametrize(("place", "name"), [(0, "brightness"), (1, "contrast"), (2, "saturation")])
def test_a_factor_of_1_changes_nothing(photos, place, name):
    from PIL import Image

    image = Image.fromarray(photos(1)[0])
    np.testing.assert_array_equal(ColorJitter().apply(image, [(place, 1.0)]), image)
    assert not np.array_equal(ColorJitter().apply(image, [(place, 0.5)]), image), name


@pytest.mark.parametrize("turns", [-0.3, 0.1, 0.25, 0.5])
def test_hue_turns_the_colour_circle(turns):
    from PIL import Image

    red = Image.fromarray(np.full((2, 2, 3), (200, 40, 40), np.uint8))
    turned = np.asarray(ColorJitter().apply(red, [(3, turns)]))[0, 0] / 255
    hue, saturation, value = colorsys.rgb_to_hsv(*turned)
    assert abs((hue - turns + 0.5) % 1 - 0.5) < 0.01
    assert (saturation, value) == pytest.approx((0.8, 200 / 255), abs=0.01)


def test_a_share_of_the_images_becomes_grey(photos, seen_by):
    images = photos(400, side=4)
    views = seen_by(Grayscale(0.2), images)
    grey = (views == views[..., :1]).all(axis=(1, 2, 3))
    assert stats.binomtest(int(grey.sum()), 400, 0.2).pvalue > 0.001
    np.testing.assert_array_equal(views[~grey], images[~grey])
    weights = images[grey] @ np.array([0.299, 0.587, 0.114])
    assert np.abs(views[grey][..., 0] - weights).max() <= 1


def test_a_blur_keeps_the_mean_and_lowers_the_contrast(photos, seen_by):
    images = photos(60)
    views = seen_by(Blur(sigma=(1.0, 1.0), probability=0.5), images)
    blurred = (views != images).any(axis=(1, 2, 3))
    assert 15 < blurred.sum() < 45
    means = views.mean(axis=(1, 2, 3)) - images.mean(axis=(1, 2, 3))
    assert np.abs(means).max() < 3
    assert (views[blurred].std(axis=(1, 2)) < images[blurred].std(axis=(1, 2))).all()


@pytest.mark.parametrize("step", [ColorJitter(), Grayscale(1.0), Blur()])
def test_images_of_one_channel_stay_so(photos, seen_by, step):
    assert seen_by(step, photos(10, channels=1)).shape == (10, 16, 16, 1)


def test_grey_images_have_no_hue_and_no_saturation(photos, seen_by):
    images = photos(10, channels=1)
    step = ColorJitter(brightness=0, contrast=0, saturation=1, hue=0.5)
    np.testing.assert_array_equal(seen_by(step, images), images)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ColorJitter(brightness=1.5), r"color_jitter: brightness is 1\.5; .* <= 1"),
        (lambda: ColorJitter(hue=0.6), r"color_jitter: hue is 0\.6; .* <= 0\.5"),
        (lambda: Grayscale(-0.1), r"grayscale: probability is -0\.1; "),
        (lambda: Blur(sigma=(0.0, 1.0)), r"blur: sigma is 0\.0; .* > 0"),
        (lambda: Blur(sigma=(2.0, 1.0)), r"blur: sigma is 2-1; expected the lower number first"),
    ],
)
def test_parameters_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
