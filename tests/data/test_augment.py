import numpy as np
import pytest

from kd_keras.data.augment import Augment, augment

POLICY = Augment(crop_padding=2, flip=True)


def views(images, rows, *, policy=POLICY, view=0, view_seed=0):
    return augment(images, rows, rows, view_seed=view_seed, view=view, policy=policy)


def moves(image, padding):
    """Every crop of the padded image, by (down, right)."""
    padded = np.pad(image, [(padding, padding), (padding, padding), (0, 0)])
    side = len(image)
    offsets = range(2 * padding + 1)
    return {(y, x): padded[y : y + side, x : x + side] for y in offsets for x in offsets}


def kind(view, image, padding):
    """Which crop, and whether mirrored."""
    for mirrored, seen in [(False, view), (True, view[:, ::-1])]:
        for offset, crop in moves(image, padding).items():
            if np.array_equal(seen, crop):
                return (*offset, mirrored)
    return None


def test_every_view_is_one_padded_crop_and_all_crops_and_flips_are_as_likely(images_of):
    image = images_of(1)
    ids = np.arange(3000)
    seen = augment(image, np.zeros(3000, int), ids, view_seed=0, view=0, policy=POLICY)
    kinds = [kind(view, image[0], 2) for view in seen]
    assert None not in kinds
    counts = [kinds.count(k) for k in set(kinds)]
    assert len(counts) == 5 * 5 * 2
    assert min(counts) > 30  # 60 expected, standard deviation 8
    assert max(counts) < 90


def test_without_flip_no_view_is_mirrored(images_of):
    images = images_of(200)
    seen = views(images, np.arange(200), policy=Augment(crop_padding=1, flip=False))
    assert all(not kind(*pair, 1)[2] for pair in zip(seen, images, strict=True))


def test_no_padding_and_no_flip_leaves_the_images(images_of):
    images = images_of(5)
    rows = np.array([4, 0, 2])
    seen = views(images, rows, policy=Augment(crop_padding=0, flip=False))
    np.testing.assert_array_equal(seen, images[rows])


def test_a_view_depends_on_its_id_and_not_on_its_batch(images_of):
    images = images_of(50)
    together = views(images, np.arange(50), view=3)
    alone = views(images, np.array([17]), view=3)
    np.testing.assert_array_equal(together[17], alone[0])


@pytest.mark.parametrize("other", [{"view": 1}, {"view_seed": 1}])
def test_another_view_or_view_seed_is_another_crop(images_of, other):
    images, rows = images_of(100), np.arange(100)
    same = (views(images, rows) == views(images, rows, **other)).all(axis=(1, 2, 3))
    assert same.mean() < 0.1  # 1 of 50 by chance


@pytest.mark.parametrize("channels", [1, 3])
def test_reads_from_a_memory_map(images_of, tmp_path, channels):
    images = images_of(10, channels=channels)
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    np.testing.assert_array_equal(views(mapped, np.arange(10)), views(images, np.arange(10)))


def test_a_negative_padding_is_refused():
    with pytest.raises(ValueError, match=r"crop_padding is -1; expected a whole number >= 0"):
        Augment(crop_padding=-1, flip=True)


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (Augment(4, True), "crops padded by 4 pixels, mirrored at random"),
        (Augment(1, False), "crops padded by 1 pixel, not mirrored"),
        (Augment(0, True), "no crops, mirrored at random"),
    ],
)
def test_a_policy_says_what_it_does(policy, words):
    assert policy.describe() == words
