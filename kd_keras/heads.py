"""What a classifier's outputs are: logits, probabilities, or something distillation cannot use."""

from typing import Any

import keras
import numpy as np
from keras import ops

from kd_keras import losses, taps

Tensor = Any
SUM_TOLERANCE = 1e-3  # how far a row of float32 or bfloat16 probabilities may be from 1


def kind(model: keras.Model) -> str:
    """ "logits" or "probabilities", by the model's last layer or its rows on a probe batch.

    Raises:
        ValueError: independent (sigmoid) outputs, fewer than two classes, or no (B, C) output.
    """
    shape = taps.output_shapes(model)[taps.LOGITS]
    if len(shape) != 2 or shape[-1] is None or shape[-1] < 2:
        raise ValueError(
            f"model {model.name!r} gives outputs of shape {shape}; expected (batch, classes) with "
            "two classes or more. Give an image classifier."
        )
    activation = _last_activation(model)
    if "sigmoid" in activation:
        raise ValueError(
            f"model {model.name!r} ends in a sigmoid; expected logits of classes that exclude each "
            "other. Multi-label models are not supported: remove the sigmoid and train with "
            "softmax cross-entropy."
        )
    if activation == "linear":
        return "logits"
    is_softmax = activation == "softmax" or _rows_sum_to_one(model)
    return "probabilities" if is_softmax else "logits"


def check_student(student: keras.Model, *, what: str = "student") -> None:
    """Raises ValueError unless the student, or what else learns, gives logits."""
    if kind(student) == "probabilities":
        raise ValueError(
            f"{what} {student.name!r} ends in a softmax; expected logits, which distillation and "
            "its cross-entropy need. Remove the last activation (activation=None)."
        )


def check_same_classes(student: dict[str, Any], teacher: dict[str, Any]) -> None:
    """Raises ValueError unless both shapes of "logits" end in the same number of classes."""
    ours, theirs = student["logits"][-1], teacher["logits"][-1]
    if ours != theirs:
        raise ValueError(
            f"the student has {ours} classes and the teacher {theirs}; expected the same classes "
            "in the same order. Give both models the same number of outputs."
        )


def logits_of_teacher(outputs: Tensor, kind_of_head: str) -> Tensor:
    """(B, C) float32 logits: the outputs themselves, or the logarithm of the probabilities."""
    outputs = ops.cast(outputs, "float32")
    if kind_of_head == "probabilities":
        return ops.log(outputs + losses.FLOAT32_TINY)
    return outputs


def _last_activation(model: keras.Model) -> str:
    """What the layer that gives the output does to its sums: "linear", "softmax", …, or its type.

    "linear" is said of a layer with weights only: any other may pass on a softmax before it.
    """
    layer = next(iter(taps.tail(model)), None)
    activation = getattr(getattr(layer, "activation", None), "__name__", None)
    has_weights = isinstance(layer, keras.Layer) and layer.weights
    if activation is None or (activation == "linear" and not has_weights):
        return type(layer).__name__.lower()
    return activation


def _rows_sum_to_one(model: keras.Model) -> bool:
    """True if the rows that noise gives look like probabilities: within 0 and 1, summing to 1."""
    rng = np.random.default_rng(0)
    outputs = taps.run(model, lambda shape: rng.uniform(0, 255, size=shape).astype("float32"))
    rows = ops.convert_to_numpy(taps.logits_of(outputs))
    inside = np.all(rows >= 0) and np.all(rows <= 1)
    return bool(inside and np.allclose(rows.sum(axis=-1), 1, atol=SUM_TOLERANCE))
