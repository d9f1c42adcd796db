"""Checks of sample weights and class weights, which multiply the losses of examples."""

from typing import Any

import numpy as np
import tensorflow as tf

from kd_keras import check

_EXPECTED = "expected finite numbers >= 0, one for each example, of shape (B,) or (B, 1)"
_REMEDY = "Give 0 to examples that should not count."


def check_arrays(sample_weight: Any, y: Any) -> None:
    """Raises ValueError for sample weights beside arrays that cannot be used.

    Args:
        sample_weight: (B,) or (B, 1) finite numbers >= 0; None: there are none.
        y: labels of the examples, (B, ...); None or without a shape: B is not known.
    """
    if sample_weight is None:
        return
    if isinstance(sample_weight, dict):
        raise ValueError(f"sample_weight is a dict; {_EXPECTED}. Give one array.")
    weights = np.asarray(sample_weight)
    num_examples = y.shape[0] if getattr(y, "shape", None) else None
    check_form(weights.shape, weights.dtype, num_examples)
    wrong = weights[~(np.isfinite(weights) & (weights >= 0))]
    if wrong.size:
        raise ValueError(weight_message(wrong[0]))


def check_form(shape: Any, dtype: Any, num_examples: int | None = None) -> None:
    """Raises ValueError for sample weights whose shape or dtype alone shows they cannot be used.

    Args:
        shape: shape of a batch of weights; sizes may be None.
        dtype: NumPy's or TensorFlow's.
        num_examples: number of examples; None: unknown.
    """
    sizes = tuple(shape)
    has_form = len(sizes) in (1, 2) and sizes[1:] in ((), (1,), (None,))
    if not has_form or (num_examples is not None and sizes[0] not in (None, num_examples)):
        of_examples = "" if num_examples is None else f" for {num_examples:,} examples"
        raise ValueError(
            f"sample_weight has shape {sizes}{of_examples}; {_EXPECTED}. Give one number for each."
        )
    weight_dtype = tf.as_dtype(dtype)
    if not (weight_dtype.is_floating or weight_dtype.is_integer or weight_dtype.is_bool):
        raise ValueError(
            f"sample_weight is of dtype {weight_dtype.name}; {_EXPECTED}. Give numbers."
        )


def is_right(weights: tf.Tensor) -> tf.Tensor:
    """(B,) bool: which weights of a batch are finite and not negative."""
    values = tf.cast(tf.reshape(weights, (-1,)), "float32")
    return tf.math.is_finite(values) & (values >= 0)


def weight_message(value: Any, num_classes: int = 0) -> str:
    """The message for weights; `value` is one that is not finite, or negative."""
    return f"sample_weight holds {float(value):g}; {_EXPECTED}. {_REMEDY}"


def check_class_weight(class_weight: Any, num_classes: int) -> None:
    """Raises ValueError for class weights that `fit` cannot use.

    Args:
        class_weight: factor, finite and >= 0, by class index; None: there are none.
        num_classes: C; classes that are left out count once.
    """
    if class_weight is None:
        return
    if not isinstance(class_weight, dict):
        raise ValueError(
            f"class_weight is a {type(class_weight).__name__}; expected a dict of numbers by class "
            f"index, such as {{0: 1.0, 1: 5.0}}. Give dict(enumerate(weights))."
        )
    for index, weight in class_weight.items():
        check.whole_number("a key of class_weight", index, at_most=num_classes - 1)
        check.number(f"the class_weight of class {index}", weight, at_least=0)
