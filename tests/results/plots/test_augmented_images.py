import numpy as np
import pytest
from PIL import Image

from kd_keras.data.augmentation import augment, light, policy_of
from kd_keras.data.stores.store import Dataset, Split
from kd_keras.results.plots import augmented_images, pictures


def dataset(policy, *, count=20, side=80, channels=3):
    images = np.random.default_rng(0).integers(0, 256, (count, side, side, channels), np.uint8)
    split = Split(images, np.arange(count, dtype=np.int32) % 4, np.arange(count))
    names = ("ant", "bee", "cat", "dog")
    return Dataset("d", split, split, None, names, images.shape[1:], policy, "f")


def cell(picture, row, column, side=80, lines=1):
    top, left = row * (side + 16 * lines + 4), column * (side + 4)
    return picture[top : top + side, left : left + side]


def test_images_stand_above_their_views():
    data = dataset(light(4, True))
    picture = augmented_images.picture(data, view_seed=3)
    rows = np.linspace(0, 19, 8).astype(int)
    for column, row in enumerate(rows):
        np.testing.assert_array_equal(cell(picture, 0, column), data.train.images[row])
        for view in range(4):
            ids = np.array([row])
            (augmented,) = augment(
                data.train.images, ids, ids, view_seed=3, view=view, policy=data.augment
            )
            np.testing.assert_array_equal(cell(picture, 1 + view, column), augmented)
    assert picture.shape[:2] == (5 * 100 - 4, 8 * 84 - 4)


def test_mixed_views_name_both_classes():
    data = dataset(policy_of("light", crop_padding=1, flip=True, mixup=1.0))
    picture = augmented_images.picture(data, view_seed=0)
    assert picture.shape[0] == 5 * (80 + 2 * 16 + 4) - 4
    views = augmented_images.Views(data.train, policy=data.augment, view_seed=0)
    ids, labels = np.array([0, 1]), np.array([0, 1])
    names = augmented_images._names(data, views, ids, labels, 0)
    for name, own, soft in zip(names, (0, 1), views.labels(ids, 0, 4), strict=True):
        assert f"{100 * soft[own]:.0f} % {data.class_names[own]}" in name.split("\n")


@pytest.mark.parametrize(("side", "columns"), [(8, 8), (80, 8), (300, 6), (2000, 1)])
def test_large_images_get_fewer_columns(side, columns):
    data = dataset(light(1, True), side=side, channels=1, count=9)
    width = augmented_images.picture(data, view_seed=0).shape[1]
    pixels = side * max(1, -(-pictures.SMALLEST_SIDE // side))
    assert width == columns * (pixels + 4) - 4


def test_a_few_images_are_shown_once_each():
    data = dataset(light(1, True), count=3)
    assert augmented_images.picture(data, view_seed=0).shape[1] == 3 * 84 - 4


def test_the_picture_is_written_as_png(tmp_path):
    picture = augmented_images.picture(dataset(light(1, True)), view_seed=0)
    augmented_images.write(tmp_path, picture)
    np.testing.assert_array_equal(Image.open(tmp_path / "augmentation.png"), picture)
