"""The teacher's last dense layer, kept by a method as weights of its own that are never trained."""

from typing import Any

import keras
from keras import layers

from kd_keras import taps


def frozen(features: int, num_classes: int) -> layers.Dense:
    """A built dense layer from (B, `features`) to logits; `fill` gives it the teacher's weights."""
    classifier = layers.Dense(num_classes, trainable=False, dtype="float32", name="logits")
    classifier.build((None, features))
    return classifier


def fill(method: str, classifier: layers.Dense, teacher: keras.Model) -> None:
    """Copies the weights of the teacher's classifier.

    Args:
        method: name, for the messages.
        classifier: what `frozen` made.
        teacher: ends in a dense layer, which a softmax may follow.

    Raises:
        ValueError: the teacher ends in anything else, or its layer reads other features.
    """
    last = _last_layer(teacher)
    if not isinstance(last, layers.Dense):
        what = f"a {type(last).__name__} layer" if last is not None else "no known layer"
        raise ValueError(
            f"{method}: the teacher {teacher.name!r} ends in {what}; expected a Dense layer, the "
            "classifier that the student's features are given to. Choose a teacher with one, as a "
            "Functional or Sequential model, or another method."
        )
    if tuple(last.kernel.shape) != tuple(classifier.kernel.shape):
        raise ValueError(
            f"{method}: the classifier of teacher {teacher.name!r} reads {last.kernel.shape[0]} "
            f"features, its tap has {classifier.kernel.shape[0]}; expected the tap that the "
            "classifier reads: the last feature map or the vector pooled from it. Set teacher_tap."
        )
    classifier.kernel.assign(last.kernel)
    if last.use_bias:
        classifier.bias.assign(last.bias)


def _last_layer(model: keras.Model) -> Any:
    """The layer that gives the logits, before any softmax; None if unknown."""
    if not taps.is_graph(model):
        return None
    tensor = taps.rebuilt(model).output[taps.LOGITS]
    operation, node_index, _ = tensor._keras_history
    while _is_softmax(operation):
        tensor = operation._inbound_nodes[node_index].input_tensors[0]
        operation, node_index, _ = tensor._keras_history
    return operation


def _is_softmax(operation: Any) -> bool:
    """Whether the layer has no weights and makes probabilities of logits."""
    if isinstance(operation, layers.Activation):
        return operation.activation is keras.activations.softmax
    return isinstance(operation, layers.Softmax)
