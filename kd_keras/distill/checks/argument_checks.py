"""Checks the arguments of `fit`, `evaluate` and their like that Keras takes without a word."""

from collections.abc import Mapping
from typing import Any

import keras

from kd_keras import check

_ARRAYS = ("x", "y", "sample_weight")
#: Counts of `fit` and `evaluate`, each None or a whole number of at least this.
_COUNTS = {
    **{"batch_size": 1, "steps_per_epoch": 1, "steps": 1},
    **{"validation_steps": 1, "validation_batch_size": 1, "epochs": 0},
}


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """Raises ValueError for arguments that Keras would misread, or fail on in its own words.

    Args:
        arguments: arguments of a call, by name; see `require_examples` and `check_counts`.
    """
    check_counts(arguments)
    require_examples(*(arguments.get(name) for name in _ARRAYS))


def check_counts(arguments: Mapping[str, Any]) -> None:
    """Raises ValueError for a number of batches, epochs or examples that Keras would pass over.

    It takes 0 batches for all, and trains on nothing with a negative number of epochs.

    Args:
        arguments: arguments of a call, by name.
    """
    for name, at_least in _COUNTS.items():
        if arguments.get(name) is not None:
            check.whole_number(name, arguments[name], at_least=at_least)
    share = arguments.get("validation_split")
    check.number("validation_split", share or 0.0, at_least=0, at_most=1)


def require_examples(x: Any, y: Any = None, sample_weight: Any = None) -> None:
    """Raises ValueError for data without examples, or with arrays of unequal length.

    A step would broadcast the label of one example to all others.

    Args:
        x: what a call got as `x`; of a dataset or generator nothing is known here.
        y, sample_weight: labels and weights beside arrays; None: there are none.
    """
    if x is None:
        raise ValueError(
            "x is None; expected arrays, a tf.data.Dataset, or another iterable of batches. Give "
            "the data as the first argument."
        )
    for name, value in zip(_ARRAYS, (x, y, sample_weight), strict=True):
        if _is_list_of_numbers(value):
            raise ValueError(
                f"{name} is a {type(value).__name__} of numbers; expected an array. Give "
                f"numpy.asarray({name})."
            )
    lengths = {array.shape[0] for array in keras.tree.flatten(x) if getattr(array, "shape", None)}
    if 0 in lengths:
        raise ValueError("x has no examples; expected one or more. Check how the data are chosen.")
    shape = getattr(y, "shape", None)
    if lengths and shape and {shape[0]} != lengths:
        raise ValueError(
            f"y has {shape[0]} labels and x {' and '.join(map(str, sorted(lengths)))} examples; "
            "expected a label for each example. Check that x and y belong together."
        )


def _is_list_of_numbers(value: Any) -> bool:
    """Whether the first entry of a list, or of the lists in it, is a number."""
    is_list = isinstance(value, (list, tuple))
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return is_list and isinstance(value, (int, float, str))
