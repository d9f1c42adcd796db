"""What a classifier's outputs are: logits, probabilities, or something distillation cannot use."""

from typing import Any

import keras
import numpy as np
from keras import ops

from kd_keras import losses

Tensor = Any
SUM_TOLERANCE = 1e-3  # how far a row of float32 or bfloat16 probabilities may be from 1


def kind(model: keras.Model) -> str:
    """ "logits" or "probabilities", by the model's last layer or its rows on a probe batch.

    Raises:
        ValueError: independent (sigmoid) outputs, fewer than two classes, or no (B, C) output.
    """
    shape = _output_shape(model)
    if len(shape) != 2 or shape[-1] is None or shape[-1] < 2:
        raise ValueError(
            f"model {model.name!r} gives outputs of shape {shape}; expected (batch, classes) with "
            "two classes or more. Give an image classifier."
        )
    activation = _last_activation(model)
    if activation == "sigmoid":
        raise ValueError(
            f"model {model.name!r} ends in a sigmoid; expected logits of classes that exclude each "
            "other. Multi-label models are not supported: remove the sigmoid and train with "
            "softmax cross-entropy."
        )
    if activation == "softmax":
        return "probabilities"
    return "probabilities" if activation is None and _rows_sum_to_one(model) else "logits"


def check_student(student: keras.Model) -> None:
    """Raises ValueError unless the student gives logits."""
    if kind(student) == "probabilities":
        raise ValueError(
            f"student {student.name!r} ends in a softmax; expected logits, which distillation and "
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


def _output_shape(model: keras.Model) -> tuple[Any, ...]:
    shape = model.output_shape
    return tuple(shape["logits"] if isinstance(shape, dict) else shape)


def _last_activation(model: keras.Model) -> str | None:
    """Name of the activation of the layer that gives the output; None where it cannot be told."""
    layer = model
    while getattr(layer, "layers", None):
        layer = layer.layers[-1] if isinstance(layer, keras.Sequential) else _output_layer(layer)
    if isinstance(layer, keras.layers.Softmax):
        return "softmax"
    activation = getattr(layer, "activation", None)
    return getattr(activation, "__name__", None)


def _output_layer(model: Any) -> Any:
    try:
        return keras.tree.flatten(model.output)[0]._keras_history.operation
    except AttributeError:
        return None  # a subclassed model: only a probe can tell


def _rows_sum_to_one(model: keras.Model) -> bool:
    """True if the rows that noise gives look like probabilities: within 0 and 1, summing to 1."""
    rng = np.random.default_rng(0)
    shapes = keras.tree.map_shape_structure(
        lambda s: (4, *(n or 32 for n in s[1:])), model.input_shape
    )
    probe = keras.tree.map_shape_structure(
        lambda s: np.asarray(rng.uniform(0, 255, size=s), "float32"), shapes
    )
    outputs = model(probe, training=False)
    rows = ops.convert_to_numpy(outputs["logits"] if isinstance(outputs, dict) else outputs)
    inside = np.all(rows >= 0) and np.all(rows <= 1)
    return bool(inside and np.allclose(rows.sum(axis=-1), 1, atol=SUM_TOLERANCE))
