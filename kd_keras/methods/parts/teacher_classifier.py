"""A copy of the teacher's last dense layer, which is never trained."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from kd_keras.graph import taps
from kd_keras.methods.base import Tensor
from kd_keras.methods.parts import tap_pairs

#: Allowed error of a half precision teacher's mean over places, as a share of the largest feature.
TOLERANCE = 0.02


def frozen_classifier(features: int, num_classes: int) -> layers.Dense:
    """A built dense layer from (B, `features`) to logits. `fill` copies the teacher's weights.

    Args:
        features: number D of the teacher's features.
        num_classes: number of logits.
    """
    classifier = layers.Dense(num_classes, trainable=False, dtype="float32", name="logits")
    classifier.build((None, features))
    return classifier


def fill(method: str, classifier: layers.Dense, teacher: keras.Model, tap: str) -> None:
    """Copies the weights of the teacher's classifier.

    Args:
        method: name of the method, for messages.
        classifier: result of `frozen_classifier`.
        teacher: model that ends in a dense layer, which a softmax may follow.
        tap: name of the vector that this layer reads, or of the map whose mean over places it
            reads.

    Raises:
        ValueError: the teacher ends in a different layer, or the layer reads other features.
    """
    last = last_dense(method, teacher)
    if tuple(last.kernel.shape) != tuple(classifier.kernel.shape):
        raise ValueError(
            f"{method}: the classifier of teacher {teacher.name!r} reads {last.kernel.shape[0]} "
            f"features, its tap has {classifier.kernel.shape[0]}; expected the tap that the "
            "classifier reads: the last feature map or the vector pooled from it. Set teacher_tap."
        )
    require_reads(method, teacher, tap)
    classifier.kernel.assign(last.kernel)
    if last.use_bias:
        classifier.bias.assign(last.bias)


def pooled(features: Tensor) -> Tensor:
    """(B, H, W, D) maps to their means over places, (B, D) float32; vectors stay as they are."""
    return ops.mean(ops.cast(tap_pairs.as_map(features), "float32"), axis=(1, 2))


def last_dense(method: str, model: keras.Model, *, side: str = "teacher") -> layers.Dense:
    """The dense layer that computes the model's logits, before any softmax.

    Args:
        method: the method's name, for the message.
        model: the student or the teacher.
        side: "student" or "teacher".

    Raises:
        ValueError: the model ends in a different layer. The message names `method` and `side`.
    """
    if not taps.is_graph(model):
        raise _no_dense(method, model, side, f"is a {type(model).__name__} of unknown layers")
    operations = [operation for operation in taps.tail(model) if not _is_softmax(operation)]
    last = operations[0]
    if not isinstance(last, layers.Dense):
        raise _no_dense(method, model, side, f"ends in a {type(last).__name__} layer")
    if last.activation not in (keras.activations.linear, keras.activations.softmax):
        name = getattr(last.activation, "__name__", last.activation)
        raise _no_dense(method, model, side, f"ends in a Dense layer with the activation {name}")
    return last


def _no_dense(method: str, model: keras.Model, side: str, what: str) -> ValueError:
    return ValueError(
        f"{method}: the {side} {model.name!r} {what}; expected a Dense layer without "
        f"activation or with a softmax. Choose a Functional or Sequential {side} with such a "
        "layer, or another method."
    )


def require_reads(method: str, model: keras.Model, tap: str, *, side: str = "teacher") -> None:
    """Raises ValueError unless the classifier reads the tap's mean over places; tested on noise.

    Args:
        method: the method's name, for the message.
        model: the student or the teacher.
        tap: name of its feature.
        side: "student" or "teacher".
    """
    end = [id(operation) for operation in taps.tail(model)]
    without_head = taps.tapped_model(
        model, [tap], replace=lambda layer: _passed_on if id(layer) in end else layer
    )
    rng = np.random.default_rng(0)
    outputs = taps.run(
        without_head, lambda shape: rng.uniform(0, 255, size=shape).astype("float32")
    )
    classifier_input, pooled_tap = (
        ops.convert_to_numpy(pooled(outputs[name])) for name in (taps.LOGITS, tap)
    )
    if np.max(np.abs(pooled_tap - classifier_input)) > TOLERANCE * np.max(np.abs(classifier_input)):
        raise ValueError(
            f"{method}: the classifier of {side} {model.name!r} does not read the mean over "
            f"places of its tap {tap!r}; expected no norm, other layer or other pooling between "
            f"the two. Set {side}_tap to what it reads, or choose another {side} or method."
        )


def _passed_on(inputs: Tensor, *_: Any, **__: Any) -> Tensor:
    return inputs


def _is_softmax(operation: Any) -> bool:
    """Whether the layer or function is a softmax."""
    if isinstance(operation, layers.Activation):
        return operation.activation is keras.activations.softmax
    return type(operation).__name__ == "Softmax"
