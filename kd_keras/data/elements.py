"""Turns functions that make a batch into a `tf.data.Dataset` of known shapes and length."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

OWN_LABEL_SHARE = "share"  # of the own label in that of a mixed image

#: From a step to the arrays of its batch.
MakeBatch = Callable[[int], tuple[np.ndarray, ...]]


def specs(
    batch_size: int | None,
    image_shape: tuple[int, ...],
    mixed_classes: int | None = None,
    *,
    label_shape: tuple[int, ...] = (),
) -> list[tf.TensorSpec]:
    """Images, ids and labels of a batch; of mixed images, shares too.

    Args:
        batch_size: B; None where batches differ in size.
        image_shape: (H, W, C), or (n, H, W, C) of n views of each image.
        mixed_classes: number of classes C of mixed images, whose labels are (B, C); None without
            mixing.
        label_shape: shape of one example's label as stored: (C,) of multi-label data, else ().
    """
    images = tf.TensorSpec((batch_size, *image_shape), tf.uint8)
    ids = tf.TensorSpec((batch_size,), tf.int64)
    if mixed_classes is None:
        return [images, ids, tf.TensorSpec((batch_size, *label_shape), tf.int32)]
    labels = tf.TensorSpec((batch_size, mixed_classes), tf.float32)
    return [images, ids, labels, tf.TensorSpec((batch_size,), tf.float32)]


def placeholders_before(first: int, batch: MakeBatch, specs: Sequence[tf.TensorSpec]) -> MakeBatch:
    """`batch` from step `first` on; before it, zeros, which are valid labels: of class 0.

    Args:
        first: the first step whose batch is made, >= 0.
        batch: from a step to the arrays of its batch.
        specs: shapes and dtypes of the arrays; an open axis gets length 1.
    """

    def placeholder_or_batch(t: int) -> tuple[np.ndarray, ...]:
        if t >= first:
            return batch(t)
        shapes = [[1 if size is None else size for size in spec.shape] for spec in specs]
        pairs = zip(shapes, specs, strict=True)
        arrays = tuple(np.zeros(shape, spec.dtype.as_numpy_dtype) for shape, spec in pairs)
        labels = arrays[2]
        if labels.dtype.kind == "f":  # probabilities
            labels[:, 0] = 1
        return arrays

    return placeholder_or_batch


def dataset(
    batch: MakeBatch,
    steps: range,
    specs: Sequence[tf.TensorSpec],
    names: Sequence[str] = (),
    threads: int = 1,
) -> tf.data.Dataset:
    """`batch` of each step: images, ids, labels, and arrays called `names`.

    These are the shares of mixed images, and a teacher's outputs.

    Args:
        batch: from a step to the arrays of its batch.
        steps: the steps, in order.
        specs: shapes and dtypes of the arrays.
        names: names of the arrays after images, ids and labels.
        threads: number of batches that are made at a time, >= 1.
    """

    def element(step: tf.Tensor) -> tuple[dict[str, Any], tf.Tensor]:
        tensors = tf.numpy_function(batch, [step], [spec.dtype for spec in specs])
        for tensor, spec in zip(tensors, specs, strict=True):
            tensor.set_shape(spec.shape)
        images, ids, labels, *other_arrays = tensors
        arrays_by_name = dict(zip(names, other_arrays, strict=True))
        x = {"inputs": images, "id": ids}
        if OWN_LABEL_SHARE in arrays_by_name:
            x[OWN_LABEL_SHARE] = arrays_by_name.pop(OWN_LABEL_SHARE)
        if arrays_by_name:
            x["teacher"] = arrays_by_name
        return x, labels

    options = tf.data.Options()
    options.autotune.enabled = False  # it uses memory and threads, and there is nothing to tune
    options.deterministic = True
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    at_once = {"num_parallel_calls": threads, "deterministic": True} if threads > 1 else {}
    return (
        tf.data.Dataset.range(steps.start, steps.stop)
        .map(element, **at_once)
        .prefetch(2)
        .with_options(options)
    )
