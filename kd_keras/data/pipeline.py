"""From a step's number to its batch: batch t is a pure function of (seed, t).

t → epoch and place in it → ids (a permutation of the epoch) → images from the map into their crops.
Nothing is remembered between two batches, so data start at any step in no time, and a run resumes
where it was.
"""

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kd_keras import check
from kd_keras.data import hashing
from kd_keras.data.augment import Augment, augment
from kd_keras.data.store import Split

_PURPOSE = 0x6F72646572  # "order": keeps these bits apart from those of the views


def steps_per_epoch(split: Split, batch_size: int) -> int:
    """Full batches in one pass over the split; the remainder sits out, other examples each epoch.

    Raises ValueError if the batch is larger than the split.
    """
    check.whole_number("batch_size", batch_size, at_least=1)
    if batch_size > len(split):
        raise ValueError(
            f"batch_size is {batch_size}, but there are only {len(split)} training images; "
            f"expected a batch no larger than the data. Give --batch-size {len(split)} or less."
        )
    return len(split) // batch_size


def batch_at(
    split: Split,
    t: int,
    *,
    batch_size: int,
    seed: int,
    policy: Augment,
    view_seed: int = 0,
    views: int = 0,
    views_per_image: int = 1,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Batch `t` of a training run that began at 0.

    Args:
        split: the examples.
        t: the step, at least 0, across all epochs.
        batch_size: examples a batch, at most the split's.
        seed: of the order.
        policy: what the augmentation may do.
        view_seed: of the crops and flips.
        views: how many views of an image there are: view = epoch modulo `views`; 0 means a new one
            every epoch.
        views_per_image: n > 1 gives n views of each image in a batch, those of the numbers
            n * view … n * view + n - 1.

    Returns:
        images, (B, H, W, C) uint8, or (B, n, H, W, C) for n views an image; ids, (B,) int64;
        labels, (B,) int32.
    """
    epoch, place = divmod(int(t), steps_per_epoch(split, batch_size))
    chosen = _order(seed, epoch, len(split))[place * batch_size : (place + 1) * batch_size]
    ids = split.ids[chosen]
    view = views_per_image * (epoch % views if views else epoch)
    seen = [
        augment(split.images, ids, ids, view_seed=view_seed, view=view + n, policy=policy)
        for n in range(views_per_image)
    ]
    images = seen[0] if views_per_image == 1 else np.stack(seen, axis=1)
    return images, ids, split.labels[chosen]


def training(
    split: Split,
    *,
    batch_size: int,
    seed: int,
    policy: Augment,
    stop: int,
    start: int = 0,
    view_seed: int = 0,
    views: int = 0,
    views_per_image: int = 1,
) -> tf.data.Dataset:
    """Batches `start` … `stop` - 1 of `batch_at`, in order, of known number, every one full.

    Returns a dataset of ({"inputs": images, "id": ids}, labels); arguments and shapes are those of
    `batch_at`.
    """
    steps_per_epoch(split, batch_size)
    for what, got in {"seed": seed, "view_seed": view_seed, "views": views, "start": start}.items():
        check.whole_number(what, got)
    check.whole_number("stop", stop, at_least=start)
    check.whole_number("views_per_image", views_per_image, at_least=1)
    check.number("crop_padding", policy.crop_padding, at_most=min(split.images.shape[1:3]) - 1)
    made = functools.partial(
        batch_at,
        split,
        batch_size=batch_size,
        seed=seed,
        policy=policy,
        view_seed=view_seed,
        views=views,
        views_per_image=views_per_image,
    )
    shape = split.images.shape[1:]
    if views_per_image > 1:
        shape = (views_per_image, *shape)
    return _dataset(made, range(start, stop), batch_size, shape)


def evaluation(split: Split, *, batch_size: int) -> tf.data.Dataset:
    """Every example once, in order, as it is; sizes of batches differ by one at most: none is tiny.

    Returns a dataset of ({"inputs": (B, H, W, C) uint8, "id": (B,) int64}, labels (B,) int32) with
    the fewest batches of at most `batch_size` examples.
    """
    check.whole_number("batch_size", batch_size, at_least=1)
    if len(split) == 0:
        raise ValueError("The split to evaluate is empty; expected at least one image.")
    parts = np.array_split(np.arange(len(split)), -(-len(split) // batch_size))

    def made(part: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rows = parts[int(part)]
        return split.images_at(rows), split.ids[rows], split.labels[rows]

    return _dataset(made, range(len(parts)), None, split.images.shape[1:])


@functools.lru_cache(maxsize=4)
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    """The epoch's permutation; kept, since every batch of the epoch asks for it."""
    return np.argsort(hashing.hashed(np.arange(count), _PURPOSE, seed, epoch), kind="stable")


def _dataset(
    made: Callable[[int], tuple[np.ndarray, ...]],
    steps: range,
    batch_size: int | None,
    shape: tuple[int, ...],
) -> tf.data.Dataset:
    def element(step: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        images, ids, labels = tf.numpy_function(made, [step], [tf.uint8, tf.int64, tf.int32])
        images.set_shape((batch_size, *shape))
        ids.set_shape((batch_size,))
        labels.set_shape((batch_size,))
        return {"inputs": images, "id": ids}, labels

    options = tf.data.Options()
    options.autotune.enabled = False  # it holds memory and threads, and there is nothing to tune
    options.deterministic = True
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return (
        tf.data.Dataset.range(steps.start, steps.stop)
        .map(element)
        .prefetch(2)
        .with_options(options)
    )
