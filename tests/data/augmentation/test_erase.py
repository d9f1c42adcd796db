import numpy as np
import pytest
from scipy import stats

from kd_keras.data.augmentation.draws import Draws
from kd_keras.data.augmentation.erase import Erase

DRAWS = Draws(np.arange(4000), 0, 0)


def test_a_share_of_the_images_loses_a_box():
    boxes = Erase(probability=0.25).boxes(DRAWS, 64, 64)
    assert stats.binomtest(int((boxes[:, 2] > 0).sum()), 4000, 0.25).pvalue > 0.001


def test_areas_are_uniform_and_ratios_log_uniform():
    _, _, width, height = Erase(1.0, area=(0.1, 0.2), ratio=(0.5, 2.0)).boxes(DRAWS, 999, 999).T
    areas, _ = np.histogram(width * height / 999**2, bins=10, range=(0.0995, 0.2005))
    ratios, _ = np.histogram(np.log2(height / width), bins=10, range=(-1.006, 1.006))
    for counts in (areas, ratios):
        assert counts.sum() == 4000
        assert stats.chisquare(counts).pvalue > 0.001


def test_places_are_uniform():
    left, top, width, height = Erase(1.0, area=(0.25, 0.25), ratio=(1.0, 1.0)).boxes(DRAWS, 8, 8).T
    assert (width == 4).all()
    assert (height == 4).all()
    table = np.histogram2d(left, top, bins=5, range=[(-0.5, 4.5)] * 2)[0]
    assert table.sum() == 4000
    assert stats.chisquare(table.ravel()).pvalue > 0.001


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("fill", ["noise", "black"])
def test_only_the_box_changes(photos, seen_by, channels, fill):
    images = photos(30, channels=channels) // 2 + 1  # never 0
    step = Erase(1.0, fill=fill)
    boxes = step.boxes(Draws(np.arange(30), 0, 0), 16, 16)
    for image, view, (left, top, width, height) in zip(
        images, seen_by(step, images), boxes, strict=True
    ):
        box = np.zeros(image.shape[:2], bool)
        box[top : top + height, left : left + width] = True
        np.testing.assert_array_equal(view[~box], image[~box])
        assert box.any()
        if fill == "black":
            assert (view[box] == 0).all()


def test_noise_is_uniform_and_differs_by_image_and_view(photos, seen_by):
    step = Erase(1.0, area=(1.0, 1.0), ratio=(1.0, 1.0))
    first, second = (seen_by(step, photos(40), view=view) for view in (0, 1))
    counts = np.bincount(first.ravel() // 16, minlength=16)
    assert stats.chisquare(counts).pvalue > 0.001
    for others in (second, np.roll(first, 1, axis=0)):
        assert np.mean(first == others) < 0.02  # 1 of 256 by chance


def test_a_box_that_never_fits_erases_nothing():
    boxes = Erase(1.0, area=(1.0, 1.0), ratio=(2.0, 2.0)).boxes(DRAWS, 8, 8)
    assert (boxes[:, 2:] == 0).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"probability": 2.0}, r"erase: probability is 2\.0; .* <= 1"),
        ({"area": (0.1, 1.1)}, r"erase: area is 1\.1; .* <= 1"),
        ({"fill": "blak"}, r"erase: fill is 'blak'; .*Did you mean 'black'"),
    ],
)
def test_parameters_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Erase(**settings)
