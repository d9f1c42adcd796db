"""Copies of layers in another precision or on a faster kernel, where they compute the same."""

from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from kd_keras.fused_batch_norm import FusedBatchNormalization

Tensor = Any


def copied(layer: keras.Layer, precision: str, *, fused: bool) -> keras.Layer:
    """A new layer of the same configuration; the layer itself if none can be or none is needed.

    Args:
        layer: a layer that has been called.
        precision: one of `precision.PRECISIONS`; "float32" keeps the layer's own.
        fused: put a batch norm on TensorFlow's fused kernel.
    """
    dtype = policy(layer, precision)
    fused = fused and type(layer) is keras.layers.BatchNormalization and _has_kernel(dtype)
    if (precision == "float32" and not fused) or _holds_more_than_configuration(layer):
        return layer
    cls = FusedBatchNormalization if fused else type(layer)
    try:
        return cls.from_config({**layer.get_config(), "dtype": dtype})
    except (TypeError, ValueError, NotImplementedError):
        return layer  # a layer without a usable configuration runs as it is


def policy(layer: keras.Layer, precision: str) -> keras.DTypePolicy:
    """The policy of the layer's copy: of `precision`, where "float32" is the layer's own."""
    return layer.dtype_policy if precision == "float32" else keras.DTypePolicy(precision)


def are_alike(layer: keras.Layer, copy: keras.Layer) -> bool:
    """True if the copy has the layer's parts and variables, one to one."""
    same_parts = len(layer._flatten_layers()) == len(copy._flatten_layers())
    return same_parts and [v.shape for v in state(layer)] == [v.shape for v in state(copy)]


def state(layer: keras.Layer) -> list[Any]:
    """All variables that Keras tracks for a layer: weights, statistics, seeds, and metrics'."""
    return [*layer.variables, *layer.metrics_variables]


def _has_kernel(policy: keras.DTypePolicy) -> bool:
    # TensorFlow has no fused float16 kernel for CPUs.
    return policy.compute_dtype != "float16" or bool(tf.config.list_physical_devices("GPU"))


def _holds_more_than_configuration(layer: keras.Layer) -> bool:
    """An adapted layer's statistics, a SavedModel's functions, a stateful RNN's states."""
    if hasattr(layer, "adapt") or isinstance(layer, keras.layers.TFSMLayer):
        return True
    tracked = {id(variable) for variable in state(layer)}
    held = (value for part in layer._flatten_layers() for value in _attributes(part))
    return any(
        isinstance(value, tf.Variable)
        or (isinstance(value, keras.Variable) and id(value) not in tracked)
        for value in held
    )


def _attributes(part: keras.Layer) -> Iterator[Any]:
    for value in vars(part).values():
        values = value.values() if isinstance(value, dict) else value
        yield from values if isinstance(value, (list, tuple, dict)) else [value]
