"""What `fit` hands to a step: the models' inputs, and what our pipeline adds to them."""

import dataclasses
from typing import Any

import keras

from kd_keras import losses
from kd_keras.distill import labels as rules

Tensor = Any
_OURS = ({"inputs", "id"}, {"inputs", "id", "teacher"})


@dataclasses.dataclass(frozen=True)
class Examples:
    """One batch, taken apart."""

    inputs: Any  # what the models are given, untouched
    labels: Tensor  # (B,) int32 classes or (B, C) float probabilities
    sample_weight: Tensor | None  # (B,) float32
    ids: Tensor | None  # (B,) int, from our pipeline only
    teacher: dict[str, Tensor] | None  # a cached teacher's outputs, from our pipeline only


def model_inputs(x: Any) -> Any:
    """The part of `x` that the models are given: all of it, unless it came from our pipeline."""
    return x["inputs"] if _is_ours(x) else x


def flattened(inputs: Any, views: int) -> Any:
    """(B, views, …) inputs as (B * views, …), what a model takes; of one view, as they are."""
    return inputs if views == 1 else keras.ops.reshape(inputs, (-1, *inputs.shape[2:]))


def taken_apart(data: Any) -> Examples:
    """Examples of a batch (x, y) or (x, y, sample_weight).

    Raises:
        ValueError: no labels, or labels of no known form.
    """
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    if y is None:
        raise ValueError(
            "a batch came without labels; expected (x, y) or (x, y, sample_weight). For methods "
            "that use no labels give zeros, and ce_weight=0."
        )
    if not hasattr(y, "shape"):
        raise ValueError(
            f"labels are a {type(y).__name__}; expected one tensor, (B,) or (B, 1) class indices "
            "or (B, C) probabilities. Give the labels of one task."
        )
    rules.check_form(y.shape, y.dtype)
    ours = _is_ours(x)
    labels = losses.class_index(y) if losses.is_class_index(y) else keras.ops.cast(y, "float32")
    return Examples(
        inputs=model_inputs(x),
        labels=labels,
        sample_weight=None if sample_weight is None else keras.ops.reshape(sample_weight, (-1,)),
        ids=x["id"] if ours else None,
        teacher=x.get("teacher") if ours else None,
    )


def _is_ours(x: Any) -> bool:
    return isinstance(x, dict) and set(x) in _OURS
