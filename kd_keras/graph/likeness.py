"""Whether a layer's configuration defines it fully, so that a copy computes the same.

Keras's own layers are trusted. For any other layer, a copy is made from its configuration, and both
run on a few seeded random numbers, in the layer's own precision.
"""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_SIZE = 8  # stands for the size of an open axis
_SCALES = (1.0, 30.0)  # of the two examples: only the second one reaches a bound such as ReLU6's
_RELATIVE_ERROR = 1e-4  # two runs of one computation may add in a different order
_LEAST_ERROR = 1e-6  # absolute error allowed, relative to the largest value
#: Raised by layers that cannot be made from their configuration, or cannot run on our numbers.
_ERRORS = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError),
    *(RuntimeError, TypeError, ValueError, tf.errors.OpError),
)


def is_defined_by_configuration(layer: keras.Layer) -> bool:
    """True if a layer made from `layer`'s configuration computes the same, in both modes.

    Args:
        layer: a layer that has been called on Keras tensors; its state is not changed.
    """
    return _is_from_keras(layer) or _copy_agrees(layer)


def state(layer: keras.Layer) -> list[Any]:
    """All variables that Keras tracks for a layer: weights, statistics, seeds, metrics."""
    return [*layer.variables, *layer.metrics_variables]


def are_alike(layer: keras.Layer, copy: keras.Layer) -> bool:
    """True if the copy has as many sublayers as the layer, and variables of the same shapes.

    Args:
        layer: a layer that has been called.
        copy: a layer made from its configuration.
    """
    same_sublayers = len(layer._flatten_layers()) == len(copy._flatten_layers())
    return same_sublayers and [v.shape for v in state(layer)] == [v.shape for v in state(copy)]


def _is_from_keras(layer: keras.Layer) -> bool:
    """True if the layer, its sublayers and the functions they use all belong to Keras."""
    sublayers = layer._flatten_layers()
    all_keras = all(type(sublayer).__module__.startswith("keras.") for sublayer in sublayers)
    has_function = any(isinstance(sublayer, keras.layers.Lambda) for sublayer in sublayers)
    return all_keras and not has_function and not any(_are_foreign(layer.get_config()))


def _are_foreign(config: Any) -> Iterator[bool]:
    """For each object in a configuration, whether it belongs to another package than Keras."""
    if isinstance(config, dict):
        module = config.get("module")
        yield "class_name" in config and not f"{module}.".startswith("keras.")
        for value in config.values():
            yield from _are_foreign(value)
    elif isinstance(config, (list, tuple)):
        for value in config:
            yield from _are_foreign(value)


def _copy_agrees(layer: keras.Layer) -> bool:
    try:
        call = _call_on_numbers(layer)
        copy = type(layer).from_config(layer.get_config())
        call(copy, False)  # builds it
        if not are_alike(layer, copy):
            return False
        modes = (False, True)
        return all(_agree(*(_run(call, one, layer, m) for one in (layer, copy))) for m in modes)
    except _ERRORS:
        return False  # no comparison is possible, so the layer must run as it is


def _call_on_numbers(layer: keras.Layer) -> Callable[[keras.Layer, bool], Any]:
    """A function that calls a layer, in a mode, on numbers shaped as `layer`'s first inputs."""
    rng = np.random.default_rng(0)
    arguments = layer._inbound_nodes[0].arguments

    def numbers(value: Any) -> Any:
        if not isinstance(value, keras.KerasTensor):
            return value
        shape = [_SIZE if size is None else size for size in value.shape]
        if value.shape and value.shape[0] is None:
            shape[0] = len(_SCALES)
        array = rng.standard_normal(shape, "float32")
        if not keras.backend.is_float_dtype(value.dtype):
            return keras.ops.cast(array > 0, value.dtype)  # valid as masks, indices and pixels
        for index, scale in enumerate(_SCALES if shape[:1] == [len(_SCALES)] else ()):
            array[index] *= scale
        return keras.ops.cast(array, value.dtype)

    args, kwargs = keras.tree.map_structure(numbers, (arguments.args, arguments.kwargs))
    takes_training = layer._call_has_training_arg

    def call(target: keras.Layer, training: bool) -> Any:
        return target(*args, **{**kwargs, **({"training": training} if takes_training else {})})

    return call


def _run(call: Any, target: keras.Layer, source: keras.Layer, training: bool) -> list[np.ndarray]:
    """The outputs, losses and new state of the layer `target` with the state of `source`."""
    pairs = list(zip(state(target), [v.value for v in state(source)], strict=True))
    with keras.StatelessScope(pairs, collect_losses=True) as scope:
        outputs = [call(target, training), target.losses]
    state_after = [scope.get_current_value(variable) for variable, _ in pairs]
    return [keras.ops.convert_to_numpy(v) for v in keras.tree.flatten([outputs, state_after])]


def _agree(expected: list[np.ndarray], actual: list[np.ndarray]) -> bool:
    return len(expected) == len(actual) and all(map(_are_close, expected, actual))


def _are_close(expected: np.ndarray, actual: np.ndarray) -> bool:
    if expected.shape != actual.shape or expected.dtype != actual.dtype:
        return False
    expected, actual = np.asarray(expected, "float64"), np.asarray(actual, "float64")
    largest_value = np.max(np.abs(expected), initial=0.0, where=np.isfinite(expected))
    allowed_error = _LEAST_ERROR * largest_value
    return np.allclose(expected, actual, rtol=_RELATIVE_ERROR, atol=allowed_error, equal_nan=True)
