"""Converts a teacher's outputs to the arrays that a cache stores, and back."""

from collections.abc import Mapping

import numpy as np

from kd_keras.graph import probability_rows
from kd_keras.teacher_cache import file_format
from kd_keras.teacher_cache.file_format import Header


def encode(outputs: Mapping[str, np.ndarray], header: Header) -> dict[str, np.ndarray]:
    """The arrays to store.

    Args:
        outputs: (n, …) float arrays by name, at least those of `header.outputs`.
        header: its dtype and `top_k` decide what is stored.

    Returns:
        An array for each name of `header.stored`.

    Raises:
        ValueError: an output is missing, has a different shape than in the header, is not finite,
            or is too large for the dtype, or the logits are probabilities.
    """
    missing_outputs = sorted(set(header.outputs) - set(outputs))
    if missing_outputs:
        raise ValueError(
            f"the teacher returns {sorted(outputs)}; expected {missing_outputs} too, as in the "
            "header. Return them by name, or leave them out of the header."
        )
    arrays = {name: np.asarray(outputs[name]) for name in header.outputs}
    for name, array in arrays.items():
        if array.shape[1:] != tuple(header.outputs[name]):
            raise ValueError(
                f"the teacher's {name} are {array.shape[1:]} for an image; expected "
                f"{tuple(header.outputs[name])}. Use a teacher with these classes, or give "
                "--teacher-class-names."
            )
        with np.errstate(over="ignore"):
            is_finite = np.isfinite(array.astype(header.dtype)).all()
        if not is_finite:
            fault = "NaN or infinite" if not np.isfinite(array).all() else "too large for float16"
            raise ValueError(
                f"the teacher's {name} are {fault} for some images; expected finite numbers. Check "
                "the teacher and its pixels (--teacher-preprocess), or give --cache-dtype float32."
            )
    logits = arrays.get(file_format.LOGITS)
    if logits is not None and len(logits) > 1 and probability_rows.are_probabilities(logits):
        raise ValueError(
            "the teacher's logits are probabilities: each row is between 0 and 1 and has a sum of "
            "1. Expected the scores before the softmax. Return those, or the logarithms."
        )
    if header.top_k is not None:
        arrays |= _top(arrays.pop(file_format.LOGITS), header.top_k)
    return {name: arrays[name].astype(dtype) for name, (_, dtype) in header.stored.items()}


def decode(stored: Mapping[str, np.ndarray], header: Header) -> dict[str, np.ndarray]:
    """The outputs, (n, …) float32 by name, from stored rows.

    With `top_k`, the classes that are not stored share the remaining probability evenly.

    Args:
        stored: rows by name, (n, …), as `encode` gave them.
        header: header of the cache.
    """
    if header.top_k is None:
        return {name: stored[name].astype(np.float32) for name in header.outputs}
    (classes,) = header.outputs[file_format.LOGITS]
    num_rest = classes - header.top_k
    rest_logits = stored[file_format.REST].astype(np.float64) - np.log(num_rest)
    logits = np.empty((len(rest_logits), classes), np.float32)
    logits[:] = rest_logits[:, None]
    rows = np.arange(len(rest_logits))[:, None]
    logits[rows, stored[file_format.CLASSES].astype(np.intp)] = stored[file_format.TOP]
    other_outputs = {
        name: stored[name].astype(np.float32) for name in header.outputs if name in stored
    }
    return {file_format.LOGITS: logits, **other_outputs}


def _top(logits: np.ndarray, k: int) -> dict[str, np.ndarray]:
    """The k largest logits, falling; of equal ones, the lower class comes first."""
    classes = logits.shape[1]
    kth_logits = np.partition(logits, classes - k, axis=1)[:, classes - k, None]  # the k-th largest
    is_top = logits >= kth_logits
    tied_rows = np.flatnonzero(np.count_nonzero(is_top, axis=1) > k)
    if len(tied_rows):  # several equal the k-th largest
        is_above = logits[tied_rows] > kth_logits[tied_rows]
        is_equal = logits[tied_rows] == kth_logits[tied_rows]
        room = k - np.count_nonzero(is_above, axis=1, keepdims=True)
        is_top[tied_rows] = is_above | (is_equal & (np.cumsum(is_equal, axis=1) <= room))
    index = np.nonzero(is_top)[1].reshape(len(logits), k)  # rising, so that equal ones stay so
    top = np.take_along_axis(logits, index, axis=1)
    order = np.argsort(-top, axis=1, kind="stable")
    rest_logits = np.where(is_top, -np.inf, logits).astype(np.float64)
    largest_rest = np.max(rest_logits, axis=1, keepdims=True)
    rest_sum = np.exp(rest_logits - largest_rest).sum(axis=1)
    return {
        file_format.TOP: np.take_along_axis(top, order, axis=1),
        file_format.CLASSES: np.take_along_axis(index, order, axis=1),
        file_format.REST: largest_rest[:, 0] + np.log(rest_sum),
    }
