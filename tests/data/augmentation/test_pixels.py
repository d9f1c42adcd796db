import hashlib

import numpy as np
import pytest

from kd_keras.data.augmentation import augment, light, policy_of

POLICY = light(crop_padding=2, flip=True)


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
    for mirrored, candidate in [(False, view), (True, view[:, ::-1])]:
        for offset, crop in moves(image, padding).items():
            if np.array_equal(candidate, crop):
                return (*offset, mirrored)
    return None


def test_every_view_is_one_padded_crop_and_all_crops_and_flips_are_as_likely(images_of):
    image = images_of(1)
    ids = np.arange(3000)
    crops = augment(image, np.zeros(3000, int), ids, view_seed=0, view=0, policy=POLICY)
    kinds = [kind(view, image[0], 2) for view in crops]
    assert None not in kinds
    counts = [kinds.count(k) for k in set(kinds)]
    assert len(counts) == 5 * 5 * 2
    assert min(counts) > 30  # 60 expected, standard deviation 8
    assert max(counts) < 90


def test_without_flip_no_view_is_mirrored(images_of):
    images = images_of(200)
    crops = views(images, np.arange(200), policy=light(crop_padding=1, flip=False))
    assert all(not kind(*pair, 1)[2] for pair in zip(crops, images, strict=True))


def test_no_padding_and_no_flip_leaves_the_images(images_of):
    images = images_of(5)
    rows = np.array([4, 0, 2])
    crops = views(images, rows, policy=light(crop_padding=0, flip=False))
    np.testing.assert_array_equal(crops, images[rows])


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


TEXTS = {
    "none": "2ed5564c983690d5",
    "light": "f6973ba96c54bff7",
    "standard": "718577eaa7adedb9",
    "strong": "a32368fe633e76ec",
    "flip,crop:padding=3": "fb991877d0411075",
    "resized_crop": "873ccc5aa46f7a14",
    "resized_crop:scale=0.2-0.4,interpolation=nearest": "657eb80a6d4244d9",
    "resized_crop:scale=0.2-0.4,interpolation=bicubic": "587d0aff72164697",
    "rand_augment": "0a9dc32fa3984d86",
    "rand_augment:number=3,magnitude=30": "564e60e341e1a9aa",
    "color_jitter": "9af255701147b5dd",
    "grayscale": "e7dab499c73c27d9",
    "blur": "82e054e2f7c85601",
    "erase": "8eea8dc9477704d0",
    "erase:probability=1,fill=black": "29344458924ee810",
}


def policy_of_text(text):
    return policy_of(text, crop_padding=2, flip=True)


@pytest.mark.parametrize(("text", "sha256"), TEXTS.items())
def test_views_never_change(photos, text, sha256):
    # Caches of teachers rely on them: a new value here needs a new `policy.VERSION`. One image is
    # one of each operation of RandAugment, or nearly so.
    digest = hashlib.sha256()
    for channels in (1, 3):
        images, rows = photos(40, channels=channels), np.arange(40)
        digest.update(
            augment(images, rows, rows, view_seed=5, view=1, policy=policy_of_text(text)).tobytes()
        )
    assert digest.hexdigest()[:16] == sha256


@pytest.mark.parametrize("text", TEXTS)
def test_every_step_is_a_function_of_view_seed_view_and_id(photos, text):
    images, policy = photos(40), policy_of_text(text)
    together = augment(images, np.arange(40), np.arange(40), view_seed=1, view=2, policy=policy)
    rows = np.array([31, 4, 4, 17])
    some = augment(images, rows, rows, view_seed=1, view=2, policy=policy)
    np.testing.assert_array_equal(some, together[rows])
    if policy.steps:
        for key in ({"view_seed": 2, "view": 2}, {"view_seed": 1, "view": 3}):
            other = augment(images, np.arange(40), np.arange(40), **key, policy=policy)
            assert (other != together).any(axis=(1, 2, 3)).mean() > 0.2


@pytest.mark.parametrize("text", TEXTS)
def test_the_store_is_left_as_it_is(photos, text):
    images = photos(20)
    before = images.copy()
    augment(images, np.arange(20), np.arange(20), view_seed=0, view=0, policy=policy_of_text(text))
    np.testing.assert_array_equal(images, before)
