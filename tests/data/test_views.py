import hashlib

import numpy as np
import pytest

from kd_keras.data.augmentation import Policy, augment, from_json, light, policy_of, short_name
from kd_keras.data.stores.store import Split
from kd_keras.data.views import Views, view_settings

MIXED = Policy(light(1, True).steps, mixup=0.4, cutmix=1.0)


@pytest.fixture
def split(images_of):
    ids = np.random.default_rng(0).permutation(30)[:23]  # a part of the store, in no order
    return Split(images_of(30), (ids % 5).astype(np.int32), ids)


def views_of(split, policy=MIXED, view_seed=0):
    return Views(split, policy=policy, view_seed=view_seed)


def test_views_without_mixing_are_those_of_augment(split):
    ids = split.ids[:7]
    expected = augment(split.images, ids, ids, view_seed=3, view=2, policy=light(1, True))
    result = views_of(split, light(1, True), view_seed=3).images(ids, 2)
    np.testing.assert_array_equal(result, expected)


def test_a_mixed_view_is_its_image_and_its_partner_s_of_the_same_view(split):
    views, plain = views_of(split), views_of(split, light(1, True))
    ids, view = np.sort(split.ids), 4
    result, labels = views.images(ids, view), views.labels(ids, view, 5)
    shares = views.shares(ids, view)
    own, others = plain.images(ids, view), plain.images(split.ids, view)
    partners = set()
    for image, label, share, mine, i in zip(result, labels, shares, own, ids, strict=True):
        fits = [
            partner
            for partner, other in zip(split.ids, others, strict=True)
            if _mixes_to(image, mine, other, share)
            and np.allclose(label, share * np.eye(5)[i % 5] + (1 - share) * np.eye(5)[partner % 5])
        ]
        assert fits
        partners |= set(fits)
    assert partners == set(split.ids.tolist())


def _mixes_to(image, own, other, share):
    blend = np.floor(share * own.astype(float) + (1 - share) * other + 0.5)
    if np.array_equal(image, blend):
        return True
    from_partner = (image != own).any(axis=-1)
    return (
        np.array_equal(image[from_partner], other[from_partner])
        and from_partner.mean() <= 1 - share + 1e-6
    )


def test_labels_are_probabilities(split):
    labels = views_of(split).labels(split.ids, 0, 5)
    assert labels.dtype == np.float32
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
    assert labels.min() >= 0
    assert (labels.max(axis=1) < 1).mean() > 0.3  # pairs of the same class are not mixed


def test_a_mixed_view_depends_on_its_id_and_not_on_its_batch(split):
    views = views_of(split)
    together, labels = views.images(split.ids, 1), views.labels(split.ids, 1, 5)
    for place in (0, 11, 22):
        alone = split.ids[place : place + 1]
        np.testing.assert_array_equal(views_of(split).images(alone, 1)[0], together[place])
        np.testing.assert_array_equal(views_of(split).labels(alone, 1, 5)[0], labels[place])


def test_the_order_of_the_split_changes_no_view(split):
    turned = split.take(np.arange(len(split))[::-1])
    np.testing.assert_array_equal(
        views_of(turned).images(split.ids, 1), views_of(split).images(split.ids, 1)
    )
    np.testing.assert_array_equal(
        views_of(turned).labels(split.ids, 1, 5), views_of(split).labels(split.ids, 1, 5)
    )


@pytest.mark.parametrize("other", [{"view": 1}, {"view_seed": 1}])
def test_another_view_or_view_seed_mixes_in_another_way(split, other):
    first = views_of(split).shares(split.ids, 0)
    second = views_of(split, view_seed=other.get("view_seed", 0)).shares(
        split.ids, other.get("view", 0)
    )
    assert (first == second).mean() < 0.3


def test_permutations_are_computed_once_for_each_view(split, monkeypatch):
    from kd_keras.data.augmentation import mixing

    calls, original = [], mixing.permutation
    monkeypatch.setattr(
        mixing, "permutation", lambda ids, **key: calls.append(key) or original(ids, **key)
    )
    views = views_of(split)
    for _ in range(3):
        views.images(split.ids[:4], 0)
        views.images(split.ids[:4], 1)
    assert len(calls) == 2


def test_mixed_views_never_change(split):
    # Caches of teachers rely on them: a new value here needs a new `policy.VERSION`.
    images, labels = views_of(split).images(split.ids, 0), views_of(split).labels(split.ids, 0, 5)
    digest = hashlib.sha256(images.tobytes() + np.round(labels * 65536).astype("<i4").tobytes())
    assert digest.hexdigest()[:16] == "ef44d0eeddd14c98"


@pytest.mark.parametrize("size", [1, 8])
def test_small_images_are_mixed_too(images_of, size):
    split = Split(images_of(12, side=size), np.arange(12, dtype=np.int32) % 3, np.arange(12))
    policy = policy_of("strong", crop_padding=0, flip=True, cutmix=1.0)
    views = views_of(split, policy)
    assert views.images(split.ids, 0).shape == (12, size, size, 3)
    np.testing.assert_allclose(views.labels(split.ids, 0, 3).sum(axis=1), 1, atol=1e-6)


def test_images_without_labels_are_mixed_with_each_other(images_of):
    known = np.arange(60) % 3 == 0
    labels = np.where(known, np.arange(60) % 5, -1).astype(np.int32)
    split = Split(images_of(60), labels, np.arange(60))
    views = views_of(split)
    for view in range(3):
        partners = views._partners(view)
        np.testing.assert_array_equal(known[partners], known)
        assert sorted(partners) == list(range(60))
        soft = views.labels(split.ids, view, 5)
        assert (soft[~known] == -1).all()
        np.testing.assert_allclose(soft[known].sum(axis=1), 1, atol=1e-6)
        assert soft[known].min() >= 0


def test_which_labels_are_known_decides_how_images_are_mixed(images_of):
    ids, labels = np.arange(12), np.arange(12, dtype=np.int32) % 3
    complete_split = Split(images_of(12), labels, ids)
    hidden = Split(complete_split.images, np.where(ids < 6, labels, -1).astype(np.int32), ids)
    other = Split(complete_split.images, np.where(ids > 5, labels, -1).astype(np.int32), ids)
    mixed = [view_settings(split, MIXED) for split in (complete_split, hidden, other)]
    assert mixed[0] == MIXED.to_json()
    assert len({values.get("labelled") for values in mixed}) == 3
    assert len({short_name(values) for values in mixed}) == 3
    assert [from_json(values) for values in mixed] == [MIXED] * 3
    assert view_settings(hidden, light(1, True)) == light(1, True).to_json()  # does not mix


@pytest.mark.parametrize(
    ("policy", "channels", "message"),
    [
        (light(8, True), 3, r"crop_padding is 8; expected a finite number <= 7"),
        (
            policy_of("standard", crop_padding=1, flip=True),
            2,
            r"images have 2 channels, .* step resized_crop; expected 1 or 3 channels",
        ),
    ],
)
def test_images_that_do_not_fit_a_policy_are_refused(images_of, policy, channels, message):
    split = Split(images_of(4, channels=channels), np.zeros(4, np.int32), np.arange(4))
    with pytest.raises(ValueError, match=message):
        views_of(split, policy)
