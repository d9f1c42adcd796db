"""Finds or removes a classifier's last softmax or sigmoid, so that it gives logits."""

from typing import Any

import keras
from keras import ops

from kd_keras.graph import taps


def softmax(model: keras.Model) -> Any:
    """The operation that ends a classifier with a softmax and can be left out; None without one.

    It is a layer of Keras's own with activation="softmax", a softmax layer, or `keras.ops.softmax`;
    over the classes, run once, and with no loss of its own on the probabilities.
    """
    last: Any = next(iter(taps.tail(model)), None)
    if not type(last).__module__.startswith("keras.") or taps.is_graph(last):
        return None
    is_whole = isinstance(last, keras.layers.Softmax) or _is_operation(last)
    if is_whole and getattr(last, "axis", -1) not in (-1, 1):
        return None
    if not is_whole and _activation(last) != "softmax":
        return None
    if getattr(last, "activity_regularizer", None) is not None:
        return None
    runs = sum(operation is last for operation, _, _ in taps.calls(model))
    return last if runs == 1 else None


def without(layer: keras.Layer, policy: keras.DTypePolicy) -> keras.Layer:
    """A copy of a layer with weights that computes its sums, without its activation."""
    config = {**layer.get_config(), "activation": "linear", "dtype": policy}
    return type(layer).from_config(config)


def remove(model: keras.Model) -> keras.Model | None:
    """A model that gives the logits of a classifier that ends in a softmax or in sigmoids.

    Args:
        model: a classifier whose head, see `heads.output_type`, is "probabilities", "sigmoid" or
            "sigmoids".

    Returns:
        A functional model of the same layers without the last activation; its last layer is a copy,
        whose weights do not follow `model`. The logits of one sigmoid are 0 and its input. None
        if the activation cannot be taken out: the model is not a graph of layers, or computes its
        probabilities in another way.
    """
    last: Any = next(iter(taps.tail(model)), None)
    is_softmax = isinstance(last, keras.layers.Softmax) or _is_operation(last)
    if not (is_softmax or _activation(last) in ("softmax", "sigmoid")):
        return None
    linear = _linear(last)
    new_model = taps.tapped_model(model, replace=lambda layer: linear if layer is last else layer)
    if linear is not _identity:
        linear.set_weights(last.get_weights())
    logits = new_model.output[taps.LOGITS]
    if _activation(last) == "sigmoid" and logits.shape[-1] == 1:
        logits = ops.concatenate([ops.zeros_like(logits), logits], axis=-1)
    return keras.Model(new_model.input, logits, name=model.name)


def _is_operation(operation: Any) -> bool:
    """Whether it is the operation behind `keras.ops.softmax`."""
    return type(operation).__name__ == "Softmax" and not isinstance(operation, keras.Layer)


def _activation(layer: Any) -> str:
    return getattr(getattr(layer, "activation", None), "__name__", "")


def _linear(layer: keras.Layer) -> Any:
    """The layer without its activation."""
    if not getattr(layer, "weights", None):
        return _identity
    return type(layer).from_config({**layer.get_config(), "activation": "linear"})


def _identity(inputs: Any, **kwargs: Any) -> Any:
    return inputs
