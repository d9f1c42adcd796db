"""Checks that data end and that their labels are valid, before and during `fit`."""

import contextlib
import re
import types
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kd_keras.distill.checks import weight_checks
from kd_keras.distill.step import label_rules

# Marks errors of a check within a dataset, to distinguish them from TensorFlow's: [marker] [value].
_NO_CLASS, _NO_PROBABILITIES, _NO_NEGATIVE, _NO_SHARE, _NO_WEIGHT = (
    "kd_keras.distill.step.label_rules.class_message",
    "kd_keras.distill.step.label_rules.probabilities_message",
    "kd_keras.distill.step.label_rules.negative_message",
    "kd_keras.distill.step.label_rules.share_message",
    "kd_keras.distill.checks.weight_checks.weight_message",
)
_MESSAGES = {
    rf"\[{re.escape(_NO_CLASS)}\] \[([^\]]+)\]": label_rules.class_message,
    rf"\[{re.escape(_NO_PROBABILITIES)}\] \[([^\]]+)\]": label_rules.probabilities_message,
    rf"\[{re.escape(_NO_NEGATIVE)}\] \[([^\]]+)\]": label_rules.negative_message,
    rf"\[{re.escape(_NO_SHARE)}\] \[([^\]]+)\]": label_rules.share_message,
    rf"\[{re.escape(_NO_WEIGHT)}\] \[([^\]]+)\]": weight_checks.weight_message,
    # TensorFlow's own on a CPU.
    r"label value of (-?\d+) which is outside": label_rules.class_message,
}


def require_end(what: str, x: Any, steps: int | None, option: str) -> None:
    """Raises ValueError for data that never end, unless `steps` limits them.

    Args:
        what: the data in words, such as "the training data".
        x: a dataset, or arrays. Of a Python generator nothing is known.
        steps: batches to take; None takes all.
        option: the argument's name, such as "steps_per_epoch".
    """
    if steps is None and _is_endless(x):
        raise ValueError(
            f"{what} never end (as after dataset.repeat()) and {option} is None; expected a number "
            f"of batches. Give {option}, or leave out repeat()."
        )


def have_labels(x: Any, y: Any) -> bool:
    """Whether data come with labels; True where only their batches would show it.

    Arrays without `y` have none, and so has a dataset whose form, or first batch, shows none. Of a
    generator, a torch DataLoader or a grain dataset nothing is known before its first step.

    Args:
        x: anything that `fit` takes.
        y: labels of arrays, or None.
    """
    if y is not None:
        return True
    if isinstance(x, (tf.data.Dataset, tf.distribute.DistributedDataset)):
        spec = x.element_spec
        return isinstance(spec, tuple) and len(spec) > 1
    if isinstance(x, keras.utils.PyDataset):
        if x.num_batches == 0:
            return True
        batch = x[0]
        return isinstance(batch, (tuple, list)) and len(batch) > 1
    is_array = [hasattr(array, "shape") for array in keras.tree.flatten(x)]
    return not all(is_array)


def checked(
    x: Any,
    y: Any,
    sample_weight: Any,
    num_classes: int,
    ignore_class: int | None = None,
    *,
    multi_label: bool = False,
) -> Any:
    """`x` with checked labels: arrays are checked now, datasets and generators batch by batch.

    Of a `keras.utils.PyDataset` the first batch is checked. With `multi_label`, labels are rows of
    values from 0 to 1.

    Args:
        x: what `fit` got as `x`.
        y, sample_weight: labels and weights beside an array `x`; else None.
        num_classes: C.
        ignore_class: label that stands for an unknown one; None: every label counts.
        multi_label: whether labels are rows of values from 0 to 1.

    Raises:
        ValueError: labels that a classifier of `num_classes` classes cannot be trained on, and that
            are not unknown by `ignore_class`; weights that are not finite numbers >= 0.
    """
    form = (num_classes, ignore_class, multi_label)
    if isinstance(x, tf.data.Dataset):
        return _checked_dataset(x, *form)
    if isinstance(x, types.GeneratorType):
        return _checked_generator(x, *form)
    if isinstance(x, keras.utils.PyDataset):
        if x.num_batches != 0:
            _check_batch(x[0], *form)
        return x
    check_arrays(y, sample_weight, *form)
    return x


def check_arrays(
    y: Any,
    sample_weight: Any,
    num_classes: int,
    ignore_class: int | None = None,
    multi_label: bool = False,
) -> None:
    """Raises ValueError for arrays of labels and weights that cannot be used.

    Other structures than arrays are left as they are.

    Args:
        y: labels, (B,) int, (B, C) of probabilities or, with `multi_label`, of values 0 to 1.
        sample_weight, num_classes, ignore_class, multi_label: as for `checked`.
    """
    weight_checks.check_arrays(sample_weight, y)
    if hasattr(y, "shape") and hasattr(y, "dtype"):
        label_rules.check_form(y.shape, y.dtype, num_classes, multi_label=multi_label)
        label_rules.check_values(
            *(np.asarray(y), num_classes, sample_weight, ignore_class), multi_label=multi_label
        )


@contextlib.contextmanager
def translate_errors(num_classes: int) -> Iterator[None]:
    """Turns TensorFlow's error about labels within the block into a ValueError about them."""
    try:
        yield
    except tf.errors.OpError as error:
        for pattern, message in _MESSAGES.items():
            match = re.search(pattern, str(error))
            if match:
                raise ValueError(message(match[1], num_classes)) from error
        raise


def _is_endless(x: Any) -> bool:
    if isinstance(x, tf.data.Dataset):
        return int(x.cardinality()) == int(tf.data.INFINITE_CARDINALITY)
    return isinstance(x, keras.utils.PyDataset) and x.num_batches is None


def _check_batch(batch: Any, num_classes: int, ignore_class: int | None, multi_label: bool) -> None:
    _, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
    check_arrays(y, sample_weight, num_classes, ignore_class, multi_label)


def _checked_generator(
    batches: Any, num_classes: int, ignore_class: int | None, multi_label: bool
) -> Any:
    for batch in batches:
        _check_batch(batch, num_classes, ignore_class, multi_label)
        yield batch


def _checked_dataset(
    dataset: tf.data.Dataset, num_classes: int, ignore_class: int | None, multi_label: bool
) -> tf.data.Dataset:
    """The dataset with a check on each batch; XLA would leave it out of a compiled step."""
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        return dataset  # no labels: the step says so
    if not isinstance(spec[1], tf.TensorSpec):
        if isinstance(spec[1], (tf.RaggedTensorSpec, tf.SparseTensorSpec)):
            type_name = spec[1].value_type.__name__
            raise ValueError(
                f"labels are a {type_name}; expected a tf.Tensor. Call .to_dense on them."
            )
        return dataset  # a structure: the step says so
    label_rules.check_form(spec[1].shape, spec[1].dtype, num_classes, multi_label=multi_label)
    if len(spec) == 3 and isinstance(spec[2], tf.TensorSpec) and spec[2].shape.rank is not None:
        weight_checks.check_form(spec[2].shape, spec[2].dtype)

    def check(x: Any, y: tf.Tensor, *weights: Any) -> tuple[Any, ...]:
        assertions = (
            _assertions_of_rows(y, ignore_class)
            if multi_label
            else _assertions(y, weights, num_classes, ignore_class)
        )
        if weights and tf.is_tensor(weights[0]):
            is_right = weight_checks.is_right(weights[0])
            values = tf.reshape(weights[0], (-1,))
            assertions.append(_assertion(is_right, values, _NO_WEIGHT))
        with tf.control_dependencies(assertions):
            return (x, tf.identity(y), *weights)

    return dataset.map(check)


def _assertions(
    y: tf.Tensor, weights: tuple[Any, ...], num_classes: int, ignore_class: int | None
) -> list[Any]:
    if y.shape.rank == 1 or y.shape[1] == 1:
        values = tf.cast(tf.reshape(y, (-1,)), "float64")
        is_valid = (values >= 0) & (values < num_classes) & (values == tf.floor(values))
        if ignore_class is not None:
            is_valid |= values == ignore_class
        return [_assertion(is_valid, values, _NO_CLASS)]
    rows = tf.cast(y, "float32")
    has_negative, sums = tf.reduce_any(rows < 0, axis=-1), tf.reduce_sum(rows, axis=-1)
    ignored = has_negative & (ignore_class is not None)
    if weights and tf.is_tensor(weights[0]):
        ignored |= tf.reshape(weights[0], (-1,)) == 0
    lowest = tf.reduce_min(rows, axis=-1)
    with tf.control_dependencies([_assertion(ignored | ~has_negative, lowest, _NO_NEGATIVE)]):
        is_valid = tf.abs(sums - 1) <= label_rules.SUM_TOLERANCE
        return [_assertion(ignored | is_valid, sums, _NO_PROBABILITIES)]


def _assertions_of_rows(y: tf.Tensor, ignore_class: int | None) -> list[Any]:
    """Of multi-label rows; with `ignore_class`, rows with a negative value are unknown."""
    values = tf.cast(y, "float32")
    is_valid = (values >= 0) & (values <= 1)
    if ignore_class is not None:
        is_valid |= tf.reduce_any(values < 0, axis=-1, keepdims=True)
    return [_assertion(is_valid, values, _NO_SHARE)]


def _assertion(is_valid: tf.Tensor, values: tf.Tensor, marker: str) -> Any:
    first = tf.boolean_mask(values, ~is_valid)[:1]
    return tf.debugging.Assert(
        tf.reduce_all(is_valid), [marker, tf.strings.as_string(first, shortest=True)]
    )
