"""From a step's number to its batch: batch t is a pure function of (seed, t).

t → epoch and place in it → ids (a permutation of the epoch) → images from the map into their crops.
Nothing is remembered between two batches, so data start at any step in no time, and a run resumes
where it was.
"""

import functools
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
import tensorflow as tf

from kd_keras import check
from kd_keras.data import hashing
from kd_keras.data.augment import Augment, augment
from kd_keras.data.store import Split

_PURPOSE = 0x6F72646572  # "order": keeps these bits apart from those of the views


class TeacherRows(Protocol):
    """A teacher's outputs for each view of each example, such as `kd_keras.teacher_cache` keeps."""

    @property
    def shapes(self) -> dict[str, tuple[Any, ...]]:
        """Shape of each output, batch axis as None."""

    def __call__(self, ids: np.ndarray, view: int) -> dict[str, np.ndarray]:
        """(B, …) float32 by output name, for the ids in their order."""


@runtime_checkable
class CheckedRows(TeacherRows, Protocol):
    """Rows that know which views they are of, such as a cache on disk."""

    def require_batches(
        self, split: Split, *, policy: Augment, view_seed: int, most_views: int
    ) -> None:
        """Raises ValueError unless there is a row for every view that such batches show."""


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
    seen = [
        augment(split.images, ids, ids, view_seed=view_seed, view=view, policy=policy)
        for view in _views(epoch, views, views_per_image)
    ]
    images = seen[0] if views_per_image == 1 else np.stack(seen, axis=1)
    return images, ids, split.labels[chosen]


def _views(epoch: int, views: int, views_per_image: int) -> range:
    """The numbers of the views that an epoch shows of each image."""
    first = views_per_image * (epoch % views if views else epoch)
    return range(first, first + views_per_image)


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
    teacher: TeacherRows | None = None,
) -> tf.data.Dataset:
    """Batches `start` … `stop` - 1 of `batch_at`, in order, of known number, every one full.

    Returns a dataset of ({"inputs": images, "id": ids}, labels); arguments and shapes are those of
    `batch_at`. With `teacher`, "teacher" beside them holds its rows for the very views, (B, …) or,
    for n views of each image, (B * n, …), by output name.

    Raises:
        ValueError: a setting out of range, or a teacher whose rows are of other images or views.
    """
    steps = steps_per_epoch(split, batch_size)
    for what, got in {"seed": seed, "view_seed": view_seed, "views": views, "start": start}.items():
        check.whole_number(what, got)
    check.whole_number("stop", stop, at_least=start)
    check.whole_number("views_per_image", views_per_image, at_least=1)
    check.number("crop_padding", policy.crop_padding, at_most=min(split.images.shape[1:3]) - 1)
    if isinstance(teacher, CheckedRows) and stop > start:
        last = max(_views(e, views, views_per_image)[-1] for e in range(-(-stop // steps)))
        teacher.require_batches(split, policy=policy, view_seed=view_seed, most_views=last + 1)
    names = sorted(teacher.shapes) if teacher else []

    def made(t: int) -> tuple[np.ndarray, ...]:
        images, ids, labels = batch_at(
            split,
            t,
            batch_size=batch_size,
            seed=seed,
            policy=policy,
            view_seed=view_seed,
            views=views,
            views_per_image=views_per_image,
        )
        if teacher is None:
            return images, ids, labels
        epoch = int(t) // steps
        rows = [teacher(ids, view) for view in _views(epoch, views, views_per_image)]
        return images, ids, labels, *(_side_by_side([row[name] for row in rows]) for name in names)

    shape = split.images.shape[1:]
    if views_per_image > 1:
        shape = (views_per_image, *shape)
    rows_shapes = {name: tuple(teacher.shapes[name][1:]) for name in names} if teacher else {}
    return _dataset(made, range(start, stop), batch_size, shape, rows_shapes, views_per_image)


def _side_by_side(views: list[np.ndarray]) -> np.ndarray:
    """(B, …) of each view to (B * n, …): the views of an example follow each other."""
    return views[0] if len(views) == 1 else np.stack(views, axis=1).reshape(-1, *views[0].shape[1:])


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
    teacher_shapes: dict[str, tuple[int, ...]] | None = None,
    views_per_image: int = 1,
) -> tf.data.Dataset:
    teacher_shapes = teacher_shapes or {}
    dtypes = [tf.uint8, tf.int64, tf.int32, *[tf.float32] * len(teacher_shapes)]

    def element(step: tf.Tensor) -> tuple[dict[str, Any], tf.Tensor]:
        images, ids, labels, *rows = tf.numpy_function(made, [step], dtypes)
        images.set_shape((batch_size, *shape))
        ids.set_shape((batch_size,))
        labels.set_shape((batch_size,))
        x = {"inputs": images, "id": ids}
        if not rows:
            return x, labels
        for row, row_shape in zip(rows, teacher_shapes.values(), strict=True):
            row.set_shape((batch_size and batch_size * views_per_image, *row_shape))
        return {**x, "teacher": dict(zip(teacher_shapes, rows, strict=True))}, labels

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
