"""Checks that a model's weights are finite, and names those that are not."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


def describe_non_finite(variables: Sequence[Any]) -> str:
    """Which of the variables hold NaN or infinite values, in words; empty if none does.

    One sum for each variable, and one number read for all: 0 times a finite value is 0.

    Args:
        variables: Keras variables; those of whole numbers are always finite.
    """
    floats = [v for v in variables if keras.backend.is_float_dtype(v.dtype)]
    zeros = [ops.cast(ops.sum(ops.convert_to_tensor(v) * 0), "float32") for v in floats]
    if not zeros or float(ops.sum(ops.stack(zeros))) == 0:
        return ""
    non_finite = [v for v, zero in zip(floats, zeros, strict=True) if float(zero) != 0]
    is_finite = ops.convert_to_numpy(ops.isfinite(ops.convert_to_tensor(non_finite[0])))
    number_text = (
        f"{int((~is_finite).sum()):,} of {is_finite.size:,} values of {non_finite[0].path}"
    )
    num_others = len(non_finite) - 1
    return f"{number_text}, and some in {num_others} other variables" if num_others else number_text


def statistics(model: keras.Model) -> list[Any]:
    """The moving statistics of batch norms; other state, such as a mask, may hold infinities."""
    return [v for v in model.non_trainable_variables if v.name.startswith("moving_")]


def require(model: keras.Model) -> None:
    """Raises ValueError if a trained weight or a moving statistic of the model is not finite."""
    non_finite = describe_non_finite(model.trainable_variables + statistics(model))
    if non_finite:
        raise ValueError(
            f"model {model.name!r} has weights that are NaN or infinite: {non_finite}; expected "
            "finite ones, and nothing is saved. Train it again with a lower learning rate."
        )
