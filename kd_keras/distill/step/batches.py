"""Takes a batch apart: the models' inputs, labels, and what the data pipeline adds."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from kd_keras import losses
from kd_keras.data.stores.store import UNKNOWN
from kd_keras.distill.step import image_views, label_rules, unknown_labels
from kd_keras.tensor_types import Labels, Tensor

# Keys of an x from `kd_keras.data.pipeline`: with a cached teacher's outputs, or shares of mixed
# images, or both. A model with inputs of these names is refused (`model_checks`).
_PIPELINE_KEYS = {
    frozenset({"inputs", "id", *optional})
    for optional in ((), ("teacher",), ("share",), ("teacher", "share"))
}
_SUPERVISED = ("training without a method, or validation",)


@dataclasses.dataclass(frozen=True)
class Examples:
    """One batch, taken apart."""

    inputs: Any  # of the models; several views of an image lie one after the other
    labels: Labels  # (B,) int32 classes or (B, C) float probabilities
    sample_weight: Tensor | None  # (B,) float32
    ids: Tensor | None  # (B,) int, from the data pipeline only
    teacher: dict[str, Tensor] | None  # a cached teacher's outputs, from the pipeline only
    mixed: bool = False  # whether images are mixed with others, from the pipeline only
    known: Tensor | None = None  # (B,) bool: whose label is known; None: every label is


def model_inputs(x: Any) -> Any:
    """The part of `x` that the models get: "inputs" of an x from the data pipeline, else all."""
    return x["inputs"] if isinstance(x, dict) and frozenset(x) in _PIPELINE_KEYS else x


def unpack(
    data: Any,
    *,
    ignore_class: int | None = None,
    needs_labels: Sequence[str] = _SUPERVISED,
    views: int = 1,
) -> Examples:
    """The examples of a batch x, (x, y) or (x, y, sample_weight).

    Args:
        data: the batch. If it has no labels, all of them are unknown.
        ignore_class: class index of an unknown label; None: every label is known.
        needs_labels: names of what cannot do without labels; if there are any, a batch has some.
        views: views of each image; with several, inputs are (B, views, H, W, C).

    Raises:
        ValueError: no labels where they are needed, labels of no known form, or inputs of another
            number of views.
    """
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    if y is None:
        y = unknown_labels.all_unknown(model_inputs(x), needs_labels)
        ignore_class = UNKNOWN
    if not hasattr(y, "shape"):
        raise ValueError(
            f"labels are a {type(y).__name__}; expected one tensor, (B,) or (B, 1) class indices "
            "or (B, C) probabilities. Pass one label tensor."
        )
    if len(getattr(y.shape, "dims", y.shape) or ()) not in (1, 2):
        label_rules.check_form(y.shape, y.dtype)
    entries = x if isinstance(x, dict) and frozenset(x) in _PIPELINE_KEYS else {"inputs": x}
    mixed = "share" in entries
    if mixed and sample_weight is not None:
        raise ValueError(
            "the images are mixed (mixup or cutmix) and have sample or class weights; expected no "
            "weights, since each image is made of two. Leave the weights out, or set mixup and "
            "cutmix to 0."
        )
    labels = (
        keras.ops.cast(keras.ops.reshape(y, (-1,)), "int32")
        if losses.is_class_index(y)
        else keras.ops.cast(y, "float32")
    )
    inputs = entries["inputs"]
    return Examples(
        inputs=inputs if views == 1 else image_views.flatten(inputs, views),
        labels=labels,
        sample_weight=None if sample_weight is None else keras.ops.reshape(sample_weight, (-1,)),
        ids=entries.get("id"),
        teacher=entries.get("teacher"),
        mixed=mixed,
        known=None if ignore_class is None else unknown_labels.known(labels, ignore_class),
    )
