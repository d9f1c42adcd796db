"""Batches under policies that take time or mix images."""

from typing import ClassVar

import numpy as np
import pytest
import tensorflow as tf

from kd_keras.data import pipeline
from kd_keras.data.augmentation import policy_of
from kd_keras.data.pipeline import BatchPlan
from kd_keras.data.stores.store import Split

STRONG = policy_of("strong", crop_padding=1, flip=True, mixup=0.4, cutmix=1.0)


@pytest.fixture
def split(images_of):
    return Split(images_of(23), np.arange(23, dtype=np.int32) % 5, np.arange(23))


def plan_of(split, **changes):
    return BatchPlan(split, **{"batch_size": 4, "seed": 1} | changes)


class NumberedRows:
    """A teacher whose rows tell the example."""

    shapes: ClassVar = {"logits": (None, 2)}

    def __call__(self, ids, view):
        return {"logits": np.stack([ids, ids], axis=1).astype(np.float32)}


def test_labels_of_mixed_images_are_probabilities_and_shares_come_with_them(split):
    plan = plan_of(split, policy=STRONG, num_classes=5)
    dataset = plan.dataset(3, 12)
    x, y = dataset.element_spec
    assert y == tf.TensorSpec((4, 5), tf.float32)
    assert x["share"] == tf.TensorSpec((4,), tf.float32)
    for t, (x, y) in enumerate(dataset, start=3):
        images, ids, labels, shares = plan.batch(t)
        for tensor, array in ((x["inputs"], images), (x["id"], ids), (y, labels)):
            np.testing.assert_array_equal(tensor, array)
        np.testing.assert_array_equal(x["share"], shares)
        np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
        assert (labels[np.arange(4), ids % 5] >= shares - 1e-6).all()


@pytest.mark.parametrize("parts", [2, 3])
def test_the_parts_of_a_mixed_batch_make_it_up(split, parts):
    plan = plan_of(split, policy=STRONG, num_classes=5)
    batch = plan.batch(7)
    pieces = [plan.batch(7, part, parts) for part in range(parts)]
    for array, *of_parts in zip(batch, *pieces, strict=True):
        np.testing.assert_array_equal(np.concatenate(of_parts), array)


def test_threads_change_no_batch(split):
    settings = {"policy": STRONG, "num_classes": 5, "batch_size": 3}
    one, four = (plan_of(split, threads=n, **settings).dataset(2, 30) for n in (1, 4))
    assert one.element_spec == four.element_spec
    for first, second in zip(one, four, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, first, second)


@pytest.mark.parametrize(("text", "threads"), [("light", 1), ("none", 1), ("standard", 3)])
def test_crops_and_flips_take_one_thread_and_slower_steps_several(monkeypatch, text, threads):
    monkeypatch.setattr(pipeline.os, "cpu_count", lambda: 3)
    assert pipeline.threads_of(policy_of(text, crop_padding=1, flip=True)) == threads


def test_teacher_rows_come_with_mixed_images(split):
    plan = plan_of(split, policy=STRONG, num_classes=5, views=2)
    for x, _ in plan.dataset(0, 12, teacher=NumberedRows()):
        assert set(x) == {"inputs", "id", "share", "teacher"}
        np.testing.assert_array_equal(x["teacher"]["logits"][:, 0], x["id"])


def test_dropped_batches_have_the_same_form(split):
    plan = plan_of(split, policy=STRONG, num_classes=5)
    (x, y), *_ = plan.dataset(0, 4, dropped=2)
    assert (x["inputs"].shape, y.shape, x["share"].shape) == ((4, 8, 8, 3), (4, 5), (4,))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, r"num_classes is None; expected a whole number >= 1"),
        ({"num_classes": 5, "views_per_image": 2}, r"views_per_image is 2, and the policy mixes"),
        ({"num_classes": 5, "threads": -1}, r"threads is -1"),
    ],
)
def test_mixing_that_cannot_be_is_refused(split, settings, message):
    with pytest.raises(ValueError, match=message):
        plan_of(split, policy=STRONG, **settings)
