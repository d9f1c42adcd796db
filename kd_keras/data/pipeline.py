"""Makes batches: batch t is a pure function of a `BatchPlan` and the step t.

t gives the epoch and the place in it; the epoch's permutation gives the ids; `Views` gives a view
of the image of each id, made from the memory-mapped store. Nothing is remembered from one batch to
the next, so batches can start at any step, and several threads can make them.
"""

import functools
import os
from dataclasses import KW_ONLY, dataclass

import numpy as np
import tensorflow as tf

from kd_keras import check
from kd_keras.data import elements, hashing
from kd_keras.data.augmentation import Policy
from kd_keras.data.epoch_length import steps_per_epoch
from kd_keras.data.stores.store import Split
from kd_keras.data.teacher_rows import CheckedRows, TeacherRows
from kd_keras.data.views import Views

_PURPOSE = 0x6F72646572  # "order": keeps these bits apart from those of the views
_MAX_THREADS = 4  # of one dataset, unless the plan says more


def total_views(views: int, views_per_image: int) -> int:
    """The number of views of each image, and so of teacher rows, if a batch shows several.

    Args:
        views: number of different views of an image over the epochs; 0: a new one in each epoch.
        views_per_image: views of an image in one batch, >= 1.
    """
    return views * views_per_image


@dataclass(frozen=True, eq=False)
class BatchPlan:
    """Everything that decides the batches of a training run.

    Attributes:
        split: the examples.
        batch_size: examples in a batch, at most as many as the split has.
        seed: seed of the order, int >= 0.
        policy: the augmentation; its padding is smaller than the image.
        view_seed: seed of the augmentation, int >= 0.
        views: number of epochs after which the views of an image repeat; 0 never repeats them.
        views_per_image: n >= 1, views of each image in one batch. Epoch e shows the views
            n * v to n * v + n - 1, where v is e modulo `views`, or e if `views` is 0.
        num_classes: C, which a policy that mixes labels needs.
        threads: how many batches of a dataset are made at once; 0 takes one for crops and flips,
            which are fast, and else one for each core, at most 4. Changes no batch.
        accumulate: batches that make one update; together they are the batch of that size.

    Raises:
        ValueError: a value out of range, or a policy that mixes several views of an image.
    """

    split: Split
    _: KW_ONLY
    batch_size: int
    seed: int
    policy: Policy
    view_seed: int = 0
    views: int = 0
    views_per_image: int = 1
    num_classes: int | None = None
    threads: int = 0
    accumulate: int = 1

    def __post_init__(self) -> None:
        steps_per_epoch(self.split, self.batch_size, self.accumulate)
        for name in ("seed", "view_seed", "views", "threads"):
            check.whole_number(name, getattr(self, name))
        check.whole_number("views_per_image", self.views_per_image, at_least=1)
        _ = self._views  # checks that images and policy fit together
        if not self.policy.mixes:
            return
        check.whole_number("num_classes", self.num_classes, at_least=1)
        if self.views_per_image > 1:
            raise ValueError(
                f"views_per_image is {self.views_per_image}, and the policy mixes each view with "
                "another image, so that an image has no one label; expected 1. Set mixup and "
                "cutmix to 0."
            )

    @functools.cached_property
    def _views(self) -> Views:
        return Views(self.split, policy=self.policy, view_seed=self.view_seed)

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in one pass over the split."""
        return steps_per_epoch(self.split, self.batch_size, self.accumulate)

    def batch(self, t: int, shard: int = 0, num_shards: int = 1) -> tuple[np.ndarray, ...]:
        """Batch `t`, an int >= 0 that counts steps across all epochs, or one shard of it.

        Args:
            t: number of the step, >= 0.
            shard: index of the shard, from 0.
            num_shards: number of shards that the batch is split into.

        Returns:
            images, (B, H, W, C) uint8, or (B, n, H, W, C) for n > 1 views of each image; ids, (B,)
            int64; labels, (B,) int32, or (B, C) of multi-label data. Of mixed images, labels are
            (B, C) float32, and there is a fourth array, (B,) float32: the share of the image's own
            label.
        """
        epoch, position = divmod(int(t), self.steps_per_epoch)
        order = _order(self.seed, epoch, len(self.split))
        rows = order[position * self.batch_size : (position + 1) * self.batch_size]
        # As TensorFlow splits a batch: the last shards may be smaller.
        shard_size = -(-len(rows) // num_shards)
        rows = rows[shard * shard_size : (shard + 1) * shard_size]
        ids = self.split.ids[rows]
        views, numbers = self._views, self._view_numbers(epoch)
        images = [views.images(ids, view) for view in numbers]
        if self.policy.mixes:
            (view,), num_classes = numbers, int(self.num_classes or 0)
            return images[0], ids, views.labels(ids, view, num_classes), views.shares(ids, view)
        image_array = images[0] if self.views_per_image == 1 else np.stack(images, axis=1)
        return image_array, ids, self.split.labels[rows]

    def dataset(
        self,
        start: int,
        stop: int,
        teacher: TeacherRows | None = None,
        *,
        dropped: int = 0,
        shards: range = range(1),
        num_shards: int = 1,
    ) -> tf.data.Dataset:
        """Batches `start` to `stop` - 1 in order; their number is known, and every one is full.

        Args:
            start: the first step, int >= 0.
            stop: the step after the last, int >= `start`.
            teacher: outputs of a teacher for each view of each image, if it does not run itself.
            dropped: number of batches at the start that are not used, since their steps are done
                already; they are placeholders, and no image is read for them.
            shards: indices of the shards of each batch to give, one after the other, instead of it.
            num_shards: number of shards that a batch is split into; the last may be smaller.

        Returns:
            A dataset of ({"inputs": images, "id": ids}, labels), with the shapes of `batch`. With
            `teacher`, the dict has "teacher" too: the rows of the same views by output name, (B, …)
            or, for n views of each image, (B * n, …), where the views of an image are neighbours.
            Of mixed images it has "share", the fourth array of `batch`.

        Raises:
            ValueError: `start` or `stop` out of range, or a teacher of other images or views.
        """
        check.whole_number("start", start)
        check.whole_number("stop", stop, at_least=start)
        size = None if self.batch_size % num_shards else self.batch_size // num_shards
        specs = self._specs(size)
        threads = self.threads or threads_of(self.policy)
        extras = [elements.OWN_LABEL_SHARE] if self.policy.mixes else []
        steps = range(start * len(shards), stop * len(shards))
        first = (start + dropped) * len(shards)

        def read_shard(number: int) -> tuple[np.ndarray, ...]:
            t, index = divmod(int(number), len(shards))
            return self.batch(t, shards[index], num_shards)

        if teacher is None:
            return elements.dataset(
                elements.placeholders_before(first, read_shard, specs),
                steps,
                specs,
                extras,
                threads,
            )
        if isinstance(teacher, CheckedRows) and stop > start:
            teacher.require_batches(
                self.split,
                policy=self.policy,
                view_seed=self.view_seed,
                most_views=self._views_before(stop),
            )
        names = sorted(teacher.shapes)
        num_teacher_rows = None if size is None else size * self.views_per_image
        teacher_row_specs = [
            tf.TensorSpec((num_teacher_rows, *teacher.shapes[name][1:]), tf.float32)
            for name in names
        ]

        def shard_with_rows(number: int) -> tuple[np.ndarray, ...]:
            batch = read_shard(number)
            views = self._view_numbers(int(number) // len(shards) // self.steps_per_epoch)
            outputs = [teacher(batch[1], view) for view in views]
            return *batch, *(_interleave([output[name] for output in outputs]) for name in names)

        specs = [*specs, *teacher_row_specs]
        batches = elements.placeholders_before(first, shard_with_rows, specs)
        return elements.dataset(batches, steps, specs, [*extras, *names], threads)

    def _specs(self, size: int | None) -> list[tf.TensorSpec]:
        """Shapes and dtypes of the arrays of `batch`, for `size` images; None: for any number."""
        views = (self.views_per_image,) if self.views_per_image > 1 else ()
        return elements.specs(
            size,
            (*views, *self.split.image_shape),
            self.num_classes if self.policy.mixes else None,
            label_shape=self.split.labels.shape[1:],
        )

    def _view_numbers(self, epoch: int) -> range:
        """The views of each image that an epoch shows."""
        first = self.views_per_image * (epoch % self.views if self.views else epoch)
        return range(first, first + self.views_per_image)

    def _views_before(self, stop: int) -> int:
        """How many different views of an image the steps 0 to `stop` - 1 show."""
        epochs = -(-stop // self.steps_per_epoch)
        return total_views(min(epochs, self.views or epochs), self.views_per_image)


def _interleave(views: list[np.ndarray]) -> np.ndarray:
    """n arrays (B, …), one for each view, as (B * n, …); the views of an example are neighbours."""
    return views[0] if len(views) == 1 else np.stack(views, axis=1).reshape(-1, *views[0].shape[1:])


def evaluation(split: Split, *, batch_size: int) -> tf.data.Dataset:
    """Every example once, in order, not augmented.

    Args:
        split: examples, at least one.
        batch_size: examples in a batch at most, >= 1.

    Returns:
        A dataset of ({"inputs": (B, H, W, C) uint8, "id": (B,) int64}, labels (B,) int32): as few
        batches of at most `batch_size` examples as possible, whose sizes differ by at most one.
        Labels of multi-label data are (B, C) int32.

    Raises:
        ValueError: the split is empty, or `batch_size` is below 1.
    """
    check.whole_number("batch_size", batch_size, at_least=1)
    if len(split) == 0:
        raise ValueError("The split to evaluate is empty; expected at least one image.")
    batches = np.array_split(np.arange(len(split)), -(-len(split) // batch_size))

    def batch(number: int) -> tuple[np.ndarray, ...]:
        rows = batches[int(number)]
        return split.images_at(rows), split.ids[rows], split.labels[rows]

    specs = elements.specs(None, split.image_shape, label_shape=split.labels.shape[1:])
    return elements.dataset(batch, range(len(batches)), specs)


def threads_of(policy: Policy) -> int:
    """How many threads make batches where the plan does not say it."""
    return 1 if policy.is_light else min(os.cpu_count() or 1, _MAX_THREADS)


@functools.lru_cache(maxsize=4)
def _order(seed: int, epoch: int, num_examples: int) -> np.ndarray:
    """The epoch's permutation; cached, since every batch of the epoch needs it.

    Args:
        seed: seed of the run.
        epoch: number of the epoch, from 0.
        num_examples: number of images.
    """
    return np.argsort(
        hashing.random_bits(np.arange(num_examples), _PURPOSE, seed, epoch), kind="stable"
    )
