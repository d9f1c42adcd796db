"""A cache answers for the very views that it was made of, and for no others."""

import dataclasses

import numpy as np
import pytest

from kd_keras import Distiller, methods
from kd_keras.data import pipeline
from kd_keras.data.augmentation import light, policy_of
from kd_keras.data.stores.store import Split
from kd_keras.data.views import view_settings
from kd_keras.teacher_cache import writer
from kd_keras.teacher_cache.reader import Cache

FINGERPRINT = "d"


@pytest.fixture
def cache(tmp_path, example, header_of):
    writer.make(tmp_path, header_of(image_shape=(8, 8, 3)), example.split, example.ask)
    return Cache(tmp_path)


def batches(example, cache, *, split=None, stop=8, **changes):
    settings = {"batch_size": 9, "seed": 3, "policy": example.policy, "views": 2}
    split = split or dataclasses.replace(example.split, fingerprint=FINGERPRINT)
    return pipeline.BatchPlan(split, **{**settings, **changes}).dataset(0, stop, teacher=cache)


def test_batches_of_the_same_views_get_their_rows(example, cache):
    x, _ = next(iter(batches(example, cache)))
    logits = example.teacher(x["inputs"].numpy().astype("float32"), training=False)
    np.testing.assert_allclose(x["teacher"]["logits"], logits, rtol=1e-4, atol=1e-5)


def test_an_id_without_a_row_is_refused_by_its_number(example, cache):
    (missing, *_) = sorted(set(range(40)) - set(example.split.ids))
    with pytest.raises(ValueError, match=rf"has no row for 1 ids \({missing}\); it has rows for"):
        cache(np.array([example.split.ids[0], missing]), 0)
    with pytest.raises(ValueError, match=r"has no row for 2 ids \(-1, 40\)"):
        cache(np.array([40, -1]), 0)


@pytest.mark.parametrize("view", [-1, 2])
def test_a_view_without_rows_is_refused(example, cache, view):
    with pytest.raises(ValueError, match=rf"view is {view}, and the cache .* has views 0 to 1"):
        cache(example.split.ids, view)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"view_seed": 1}, "view seed 0 in the cache, 1 in the batches"),
        (
            {"policy": light(crop_padding=2, flip=True)},
            "augmentation .*'crop_padding': 1.* in the cache, .*'crop_padding': 2.* in the batches",
        ),
        ({"policy": light(crop_padding=1, flip=False)}, "'flip': False} in the batches"),
        ({"views": 3}, "show 3 views of each image, and 2 of the cache"),
        ({"views": 0, "stop": 12}, "show 3 views of each image, and 2 of the cache"),
        ({"views_per_image": 2}, "show 4 views of each image, and 2 of the cache"),
    ],
)
def test_batches_of_other_views_are_refused_before_training(example, cache, changes, message):
    with pytest.raises(ValueError, match=message):
        batches(example, cache, **{"stop": 12, **changes})


def test_new_views_each_epoch_are_taken_as_long_as_the_cache_has_them(example, cache):
    assert len(batches(example, cache, views=0, stop=8)) == 8


def test_batches_of_other_images_are_refused(example, cache):
    other = dataclasses.replace(example.split, fingerprint="other")
    with pytest.raises(ValueError, match="dataset d in the cache, other in the batches"):
        batches(example, cache, split=other)
    everything = Split(example.split.images, np.zeros(40, np.int32), np.arange(40))
    with pytest.raises(ValueError, match=r"has no row for 4 ids"):
        batches(example, cache, split=everything)
    larger = Split(np.zeros((40, 16, 16, 3), np.uint8), example.split.labels, example.split.ids)
    with pytest.raises(ValueError, match=r"image shape \(8, 8, 3\) in the cache, \(16, 16, 3\) in"):
        batches(example, cache, split=larger)


def test_a_batch_of_more_views_than_the_methods_read_is_refused(example, student):
    distiller = Distiller(student(), teacher=example.teacher, methods=methods.get("mlkd"))
    distiller.compile()
    plan = pipeline.BatchPlan(
        example.split, batch_size=9, seed=0, policy=example.policy, views_per_image=3
    )
    with pytest.raises(ValueError, match=r"expected \(B, 2, H, W, C\), 2 views of each image"):
        distiller.fit(plan.dataset(0, 1), epochs=1, verbose=0)


MIXED = policy_of("standard", crop_padding=1, flip=True, mixup=0.2)


def mixed_cache(example, header_of, folder):
    writer.make(folder, header_of(augment=MIXED.to_json()), example.split, example.ask)
    return Cache(folder)


def test_a_cache_of_another_policy_is_refused(example, header_of, cache, tmp_path):
    other = policy_of("standard", crop_padding=1, flip=True)
    with pytest.raises(ValueError, match=r"augmentation \{'crop_padding': 1.* 'resized_crop'"):
        batches(example, cache, policy=other)
    mixed = mixed_cache(example, header_of, tmp_path / "mixed")
    with pytest.raises(ValueError, match=r"'mixup': 0\.2.* in the cache, .*'mixup': 0\.0.* in the"):
        batches(example, mixed, policy=other)
    expected = header_of(augment=other.to_json())
    with pytest.raises(
        ValueError,
        match=r"different augmentation than this run.*--augment resized_crop:.*--mixup 0\.2\)",
    ):
        mixed.require(expected, example.split.ids)


def test_a_cache_of_mixed_images_is_one_of_these_images_alone(example, header_of, tmp_path):
    mixed = mixed_cache(example, header_of, tmp_path / "mixed")
    plan = {"policy": MIXED, "num_classes": 5}
    assert len(batches(example, mixed, **plan)) > 0
    part = example.split.take(np.arange(20))
    with pytest.raises(ValueError, match=r"mixes its 36 images .* these 20 .* not the same"):
        batches(example, mixed, split=part, **plan)
    with pytest.raises(ValueError, match=r"mixes its 36 images with each other"):
        mixed.require(mixed.header, part.ids)


def test_mixed_images_of_other_known_labels_are_other_images(example, header_of, tmp_path):
    split = dataclasses.replace(example.split, fingerprint=FINGERPRINT)
    half = np.where(np.arange(36) < 18, split.labels, -1).astype(np.int32)
    hidden = dataclasses.replace(split, labels=half)
    writer.make(tmp_path, header_of(augment=view_settings(hidden, MIXED)), hidden, example.ask)
    cache, plan = Cache(tmp_path), {"policy": MIXED, "num_classes": 5}
    assert len(batches(example, cache, split=hidden, **plan)) > 0
    with pytest.raises(ValueError, match=r"'labelled': '[0-9a-f]{16}'\} in the cache, "):
        batches(example, cache, split=split, **plan)
