"""Whether a layer's configuration tells all of it, so that a copy computes the same.

Keras's own layers are trusted. Of any other a second one is made and both are run on a few seeded
numbers, in the layer's own precision.
"""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

Tensor = Any
_SIZE = 8  # of an axis that the layer leaves open
_SCALES = (1.0, 30.0)  # of the examples: a bound such as ReLU6's shows in the second alone
_RELATIVE_ERROR = 1e-4  # two runs of one computation differ by the order of their sums
_LEAST_ERROR = 1e-6  # beside the largest value
#: What a layer, made or run on numbers of our choice, raises where it cannot be.
_ERRORS = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError),
    *(RuntimeError, TypeError, ValueError, tf.errors.OpError),
)


def is_told_by_configuration(layer: keras.Layer) -> bool:
    """True if a layer made of `layer`'s configuration computes the same, in both modes.

    Args:
        layer: one that has been called on Keras tensors; its state stays as it is.
    """
    return _is_keras_s(layer) or _second_agrees(layer)


def state(layer: keras.Layer) -> list[Any]:
    """All variables that Keras tracks for a layer: weights, statistics, seeds, and metrics'."""
    return [*layer.variables, *layer.metrics_variables]


def are_alike(layer: keras.Layer, copy: keras.Layer) -> bool:
    """True if the copy has the layer's parts and variables, one to one."""
    same_parts = len(layer._flatten_layers()) == len(copy._flatten_layers())
    return same_parts and [v.shape for v in state(layer)] == [v.shape for v in state(copy)]


def _is_keras_s(layer: keras.Layer) -> bool:
    """True for a layer all of whose parts and functions are Keras's own."""
    parts = layer._flatten_layers()
    own = all(type(p).__module__.startswith("keras.") for p in parts)
    has_function = any(isinstance(part, keras.layers.Lambda) for part in parts)
    return own and not has_function and not any(_foreign(layer.get_config()))


def _foreign(config: Any) -> Iterator[bool]:
    """True for each object of another package within a configuration."""
    if isinstance(config, dict):
        module = config.get("module")
        yield "class_name" in config and not f"{module}.".startswith("keras.")
        for value in config.values():
            yield from _foreign(value)
    elif isinstance(config, (list, tuple)):
        for value in config:
            yield from _foreign(value)


def _second_agrees(layer: keras.Layer) -> bool:
    try:
        call = _call_on_numbers(layer)
        second = type(layer).from_config(layer.get_config())
        call(second, False)  # builds it
        if not are_alike(layer, second):
            return False
        modes = (False, True)
        return all(_agree(*(_run(call, one, layer, m) for one in (layer, second))) for m in modes)
    except _ERRORS:
        return False  # what cannot be compared runs as it is


def _call_on_numbers(layer: keras.Layer) -> Callable[[keras.Layer, bool], Any]:
    """From a layer and a mode to its outputs on numbers shaped as its first call's tensors."""
    rng = np.random.default_rng(0)
    arguments = layer._inbound_nodes[0].arguments

    def numbers(value: Any) -> Any:
        if not isinstance(value, keras.KerasTensor):
            return value
        shape = [_SIZE if size is None else size for size in value.shape]
        if value.shape and value.shape[0] is None:
            shape[0] = len(_SCALES)
        drawn = rng.standard_normal(shape, "float32")
        if not keras.backend.is_float_dtype(value.dtype):
            return keras.ops.cast(drawn > 0, value.dtype)  # suits masks, indices and pixels
        for place, scale in enumerate(_SCALES if shape[:1] == [len(_SCALES)] else ()):
            drawn[place] *= scale
        return keras.ops.cast(drawn, value.dtype)

    args, kwargs = keras.tree.map_structure(numbers, (arguments.args, arguments.kwargs))
    takes_training = layer._call_has_training_arg

    def call(one: keras.Layer, training: bool) -> Any:
        return one(*args, **{**kwargs, **({"training": training} if takes_training else {})})

    return call


def _run(call: Any, one: keras.Layer, source: keras.Layer, training: bool) -> list[np.ndarray]:
    """What a layer gives with the source's state: outputs, losses, and its state afterwards."""
    pairs = list(zip(state(one), [v.value for v in state(source)], strict=True))
    with keras.StatelessScope(pairs, collect_losses=True) as scope:
        outputs = [call(one, training), one.losses]
    after = [scope.get_current_value(variable) for variable, _ in pairs]
    return [keras.ops.convert_to_numpy(v) for v in keras.tree.flatten([outputs, after])]


def _agree(expected: list[np.ndarray], found: list[np.ndarray]) -> bool:
    return len(expected) == len(found) and all(map(_are_close, expected, found))


def _are_close(expected: np.ndarray, found: np.ndarray) -> bool:
    if expected.shape != found.shape or expected.dtype != found.dtype:
        return False
    one, other = np.asarray(expected, "float64"), np.asarray(found, "float64")
    largest = np.max(np.abs(one), initial=0.0, where=np.isfinite(one))
    least = _LEAST_ERROR * largest
    return np.allclose(one, other, rtol=_RELATIVE_ERROR, atol=least, equal_nan=True)
