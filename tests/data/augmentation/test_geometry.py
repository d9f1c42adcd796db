import numpy as np
import pytest
from scipy import stats

from kd_keras.data.augmentation import Policy, augment
from kd_keras.data.augmentation.draws import Draws
from kd_keras.data.augmentation.geometry import Crop, Flip, ResizedCrop

DRAWS = Draws(np.arange(4000), 0, 0)


def test_all_offsets_of_a_crop_are_as_likely_and_axes_are_independent():
    down, right = Crop(2).offsets(DRAWS)
    table = np.histogram2d(down, right, bins=5, range=[(-2.5, 2.5)] * 2)[0]
    assert table.sum() == 4000
    assert stats.chisquare(table.ravel()).pvalue > 0.001


def test_half_of_the_images_are_mirrored():
    count = int(Flip().mirrored(DRAWS).sum())
    assert stats.binomtest(count, 4000).pvalue > 0.001


@pytest.mark.parametrize("channels", [1, 3])
def test_crop_and_flip_do_the_same_behind_another_step(photos, channels):
    images, rows = photos(40, channels=channels), np.arange(40)
    first = Policy((Crop(3), Flip()))
    behind = Policy((Flip(), Crop(3)))
    moved = augment(images, rows, rows, view_seed=0, view=0, policy=first)
    turned = augment(images, rows, rows, view_seed=0, view=0, policy=behind)
    straight = ~Flip().mirrored(Draws(rows, 0, 0))
    np.testing.assert_array_equal(moved[straight], turned[straight])
    # Mirrored after the crop, an image moves the other way than mirrored before it.
    mirrored_first = images[~straight][:, :, ::-1]
    alone = Policy((Crop(3),))
    ids = rows[~straight]
    expected = augment(mirrored_first, np.arange(len(ids)), ids, view_seed=0, view=0, policy=alone)
    np.testing.assert_array_equal(turned[~straight], expected)


def test_areas_of_resized_crops_are_uniform_and_ratios_log_uniform():
    boxes = ResizedCrop(scale=(0.2, 0.5), ratio=(0.5, 2.0)).boxes(DRAWS, 1000, 1000)
    width, height = (boxes[:, 2] - boxes[:, 0]), (boxes[:, 3] - boxes[:, 1])
    areas, _ = np.histogram(width * height / 1e6, bins=10, range=(0.1995, 0.5005))
    ratios, _ = np.histogram(np.log2(width / height), bins=10, range=(-1.003, 1.003))
    for counts in (areas, ratios):
        assert counts.sum() == 4000
        assert stats.chisquare(counts).pvalue > 0.001


def test_places_of_resized_crops_are_uniform():
    boxes = ResizedCrop(scale=(0.25, 0.25), ratio=(1.0, 1.0)).boxes(DRAWS, 8, 8)  # 4x4 of 8x8
    np.testing.assert_array_equal(boxes[:, 2:] - boxes[:, :2], 4)
    table = np.histogram2d(boxes[:, 0], boxes[:, 1], bins=5, range=[(-0.5, 4.5)] * 2)[0]
    assert table.sum() == 4000
    assert stats.chisquare(table.ravel()).pvalue > 0.001


@pytest.mark.parametrize(("height", "width"), [(8, 8), (5, 40), (64, 64), (1, 1)])
def test_resized_crops_lie_inside_the_image(height, width):
    left, top, right, bottom = ResizedCrop().boxes(DRAWS, height, width).T
    assert (left >= 0).all()
    assert (top >= 0).all()
    assert (right <= width).all()
    assert (bottom <= height).all()
    assert (right > left).all()
    assert (bottom > top).all()


def test_where_no_crop_fits_the_largest_in_the_middle_is_taken():
    boxes = ResizedCrop(scale=(1.0, 1.0), ratio=(2.0, 2.0)).boxes(DRAWS, 8, 8)
    np.testing.assert_array_equal(boxes, np.tile([0, 2, 8, 6], (4000, 1)))
    tall = ResizedCrop(scale=(1.0, 1.0), ratio=(0.5, 0.5)).boxes(DRAWS, 8, 8)
    np.testing.assert_array_equal(tall, np.tile([2, 0, 6, 8], (4000, 1)))


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
def test_a_crop_of_the_whole_image_leaves_it(photos, seen_by, interpolation):
    images = photos(5)
    step = ResizedCrop((1.0, 1.0), (1.0, 1.0), interpolation)
    np.testing.assert_array_equal(seen_by(step, images), images)


def test_nearest_crops_show_pixels_of_their_box(photos, seen_by):
    images = photos(20)
    step = ResizedCrop((0.25, 0.25), (1.0, 1.0), "nearest")
    boxes = step.boxes(Draws(np.arange(20), 0, 0), 16, 16)
    for image, view, (left, top, right, bottom) in zip(
        images, seen_by(step, images), boxes, strict=True
    ):
        part = image[top:bottom, left:right]
        np.testing.assert_array_equal(view, part.repeat(2, axis=0).repeat(2, axis=1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Crop(-1), r"crop_padding is -1; expected a whole number >= 0"),
        (lambda: ResizedCrop(scale=(0.5, 1.2)), r"resized_crop: scale is 1\.2; .* > 0 and <= 1"),
        (lambda: ResizedCrop(scale=(0.0, 1.0)), r"resized_crop: scale is 0\.0; .* > 0 and <= 1"),
        (lambda: ResizedCrop(scale=(0.9, 0.5)), r"is 0\.9-0\.5; .* lower number first.*0\.5-0\.9"),
        (lambda: ResizedCrop(ratio=(0.0, 1.0)), r"resized_crop: ratio is 0\.0; "),
        (
            lambda: ResizedCrop(interpolation="bilinar"),
            r"interpolation is 'bilinar'; .*Did you mean 'bilinear'",
        ),
    ],
)
def test_parameters_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
