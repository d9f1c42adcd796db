"""Checks that labels fit a classifier of C classes, with a message for those that do not."""

from typing import Any

import numpy as np

from kd_keras import losses

SUM_TOLERANCE = 1e-3  # how far a row of soft labels may be from 1
_EXPECTED = "(B,) or (B, 1) class indices or (B, C) probabilities"
_STRINGS = ("str", "bytes", "object")  # how the names of NumPy's and TensorFlow's dtypes begin


def check_form(
    shape: Any, dtype: Any, num_classes: int | None = None, *, multi_label: bool = False
) -> None:
    """Raises ValueError for labels whose shape or dtype alone shows that they cannot be used.

    Args:
        shape: shape of a batch of labels, sizes may be None; or a TensorShape of unknown rank.
        dtype: NumPy's or TensorFlow's, or its name.
        num_classes: C; None where it is not known.
        multi_label: whether an example may have several classes.
    """
    if getattr(dtype, "name", str(dtype)).startswith(_STRINGS):
        raise ValueError(
            f"labels are strings (dtype {getattr(dtype, 'name', dtype)}); expected {_EXPECTED}. "
            "Number the classes, as keras.layers.StringLookup(num_oov_indices=0) does."
        )
    if getattr(shape, "rank", 0) is None:
        raise ValueError(
            f"labels have a shape of unknown rank; expected {_EXPECTED}. Set it in the dataset: "
            "labels = tf.ensure_shape(labels, (None,))."
        )
    sizes = tuple(shape)
    if multi_label and (len(sizes) != 2 or sizes[1] not in (None, num_classes)):
        raise ValueError(
            f"labels have shape {sizes}; expected (B, {num_classes}), a row of 0 and 1 for each "
            "example, with a value for each of the student's classes, since label_mode is 'multi'. "
            "Encode the classes of an example as such a row."
        )
    if len(sizes) not in (1, 2):
        batched = " Batch the dataset: dataset.batch(32)." if not sizes else ""
        raise ValueError(
            f"labels have shape {sizes}; expected one tensor, {_EXPECTED}.{batched} Pass one "
            "label tensor."
        )
    if num_classes and len(sizes) == 2 and sizes[1] not in (None, 1, num_classes):
        raise ValueError(
            f"labels have rows of {sizes[1]} values; expected {num_classes}, one for each of the "
            "student's classes. Give such rows or class indices, or a student of "
            f"{sizes[1]} classes."
        )


def check_values(
    labels: np.ndarray,
    num_classes: int,
    sample_weight: Any = None,
    ignore_class: int | None = None,
    *,
    multi_label: bool = False,
) -> None:
    """Raises ValueError for labels that are neither class indices below C nor probabilities.

    Args:
        labels: labels in a form that `check_form` accepts.
        num_classes: C.
        sample_weight: (B,) or (B, 1); rows of weight 0 need no probabilities.
        ignore_class: class index of an unknown label. With one, rows with a negative value are
            unknown. None: every label is known.
        multi_label: whether an example may have several classes. Values are then 0 to 1.
    """
    if multi_label:
        unknown = (labels < 0).any(axis=-1) & (ignore_class is not None)
        rows = labels[~unknown]
        outside = rows[~((rows >= 0) & (rows <= 1))]
        if outside.size:
            raise ValueError(share_message(outside[0], num_classes))
        return
    if ignore_class is not None:
        is_index = losses.is_class_index(labels)
        known = labels != ignore_class if is_index else ~(labels < 0).any(axis=-1)
        if not is_index and sample_weight is not None:
            sample_weight = np.reshape(sample_weight, (-1,))[known]
        labels = labels[known]
    if not labels.size:
        return
    if losses.is_class_index(labels):
        low, high = labels.min(), labels.max()
        if not (low >= 0 and high < num_classes):
            raise ValueError(class_message(high if low >= 0 else low, num_classes))
        if labels.dtype.kind == "f" and np.any(labels != np.floor(labels)):
            raise ValueError(class_message(labels[labels != np.floor(labels)][0], num_classes))
        return
    sums = labels.sum(axis=-1, dtype="float64")
    negative, fits = (labels < 0).any(axis=-1), np.abs(sums - 1) <= SUM_TOLERANCE
    if sample_weight is not None:
        ignored = np.reshape(sample_weight, (-1,)) == 0
        negative, fits = negative & ~ignored, fits | ignored
    if negative.any():
        raise ValueError(negative_message(labels[negative].min(), num_classes))
    if not fits.all():
        raise ValueError(probabilities_message(sums[~fits][0], num_classes))


def class_message(value: Any, num_classes: int) -> str:
    """The message for class indices; `value` is one that is not a class."""
    remedy = (
        "If -1 means that a label is unknown, compile with ignore_class=-1. Otherwise number the "
        "classes from 0."
        if float(value) == -1
        else "Number the classes from 0, or give the student as many outputs as there are classes."
    )
    return (
        f"labels hold {float(value):g}; expected whole numbers from 0 to {num_classes - 1}, the "
        f"student's {num_classes} classes. {remedy}"
    )


def probabilities_message(total: Any, num_classes: int) -> str:
    """The message for (B, C) labels with a row that sums to `total`."""
    return (
        f"labels have a row that sums to {float(total):g}; expected rows of {num_classes} "
        "probabilities that sum to 1. Give each example one class; for examples of several "
        "classes, give Distiller label_mode='multi'."
    )


def negative_message(value: Any, num_classes: int) -> str:
    """The message for (B, C) labels with a negative `value`: their cross-entropy has no minimum."""
    return (
        f"labels hold {float(value):g}; expected rows of {num_classes} probabilities from 0 to 1. "
        f"Correct them.{_remedy_of_unknown_rows(value)}"
    )


def share_message(value: Any, num_classes: int) -> str:
    """The message for multi-label rows; `value` is one that is not from 0 to 1."""
    return (
        f"labels hold {float(value):g}; expected rows of {num_classes} values from 0 to 1, 1 for "
        f"each class that the example has. Correct them.{_remedy_of_unknown_rows(value)}"
    )


def _remedy_of_unknown_rows(value: Any) -> str:
    if float(value) != -1:
        return ""
    return " If rows of -1 mean that labels are unknown, compile with ignore_class=-1."
