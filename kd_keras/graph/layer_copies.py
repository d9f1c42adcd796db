"""Copies layers to another precision or to a faster kernel, where the copy computes the same."""

from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from kd_keras.graph import likeness
from kd_keras.graph.fused_batch_norm import FusedBatchNormalization


def copy_layer(layer: keras.Layer, policy: keras.DTypePolicy, *, fused: bool) -> keras.Layer:
    """A new layer of the same configuration; the layer itself if no copy is needed or possible.

    Args:
        layer: a layer that has been called.
        policy: dtype policy of the copy.
        fused: whether the copy of a batch norm uses TensorFlow's fused kernel.
    """
    fused = fused and type(layer) is keras.layers.BatchNormalization and _has_kernel(policy)
    is_needed = fused or policy.name != layer.dtype_policy.name
    if not is_needed or _holds_more_than_configuration(layer):
        return layer
    if not likeness.is_defined_by_configuration(layer):
        return layer
    cls = FusedBatchNormalization if fused else type(layer)
    try:
        return cls.from_config({**layer.get_config(), "dtype": policy})
    except (TypeError, ValueError, NotImplementedError):
        return layer  # a layer without a usable configuration runs as it is


def _has_kernel(policy: keras.DTypePolicy) -> bool:
    if policy.compute_dtype == "float64":
        return False
    # TensorFlow has no fused float16 kernel for CPUs. No GPU has run this yet.
    return policy.compute_dtype != "float16" or bool(tf.config.list_physical_devices("GPU"))


def _holds_more_than_configuration(layer: keras.Layer) -> bool:
    """True for adapted statistics, a SavedModel's functions, or a stateful RNN's states."""
    if hasattr(layer, "adapt") or isinstance(layer, keras.layers.TFSMLayer):
        return True
    tracked = {id(variable) for variable in likeness.state(layer)}
    attributes = (
        value for sublayer in layer._flatten_layers() for value in _leaves(vars(sublayer))
    )
    return any(
        isinstance(value, tf.Variable)
        or (isinstance(value, keras.Variable) and id(value) not in tracked)
        for value in attributes
    )


def _leaves(value: Any) -> Iterator[Any]:
    """Every value inside nested containers; unlike Keras's tree, with keys of any type."""
    if isinstance(value, (dict, list, tuple, set)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
    else:
        yield value
