"""A model's architecture as plain data, without the names that Keras gives by itself.

Keras numbers its names (`conv2d_3`), so a model that is built twice has two configurations. Here
each such name becomes the layer's index in its model. A name that a person chose stays, since
methods read features by it. Only fields that hold a layer's name change, never a value that is
equal to one, such as the activation "relu" in a layer named "relu".
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import keras

from kd_keras.graph import taps

_TENSOR = "__keras_tensor__"


def fingerprint(model: keras.Model) -> str | None:
    """16 hex digits that depend on a model's layers, connections and weight shapes, not values.

    None for a model that is neither Functional nor Sequential: its code decides what it computes.
    """
    if not taps.is_graph(model):
        return None
    text = json.dumps(canonical_config(model.get_config()), default=str, sort_keys=True)
    shapes = [tuple(weight.shape) for weight in model.weights]
    return hashlib.sha256(f"{type(model)}{shapes}{text}".encode()).hexdigest()[:16]


def canonical_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A model's configuration with automatic names replaced by indices.

    Args:
        config: `model.get_config()` of any model, with the configurations of nested models.

    Returns:
        A copy without the model's own name.
    """
    return _canonical_model(config) if _is_graph(config) else _without_name(config)


def _is_graph(config: Any) -> bool:
    """Whether a configuration lists layers, each with a configuration of its own."""
    layers = config.get("layers") if isinstance(config, Mapping) else None
    return isinstance(layers, list) and all(
        isinstance(layer, Mapping) and isinstance(layer.get("config"), Mapping) for layer in layers
    )


def _canonical_model(config: Mapping[str, Any]) -> dict[str, Any]:
    layers = config["layers"]
    # Indices are numbers, so they never equal a name that a person chose.
    indices = {
        _name(layer): index
        for index, layer in enumerate(layers)
        if _is_automatic(_name(layer), layer)
    }
    result = {key: _canonical_value(value, {}) for key, value in config.items() if key != "layers"}
    result.pop("name", None)
    for key in ("input_layers", "output_layers"):
        if key in config:
            result[key] = _references(config[key], indices)
    result["layers"] = [_canonical_layer(layer, indices) for layer in layers]
    return result


def _canonical_layer(layer: Mapping[str, Any], indices: Mapping[str, int]) -> dict[str, Any]:
    name = indices.get(_name(layer), _name(layer))
    inner_config = layer["config"]
    config = (
        _canonical_model(inner_config) if _is_graph(inner_config) else _without_name(inner_config)
    )
    left_out_fields = ("config", "compile_config")  # how a nested model was trained does not count
    result = {
        key: _canonical_value(value, indices)
        for key, value in layer.items()
        if key not in left_out_fields
    }
    return {**result, "name": name, "config": config}


def _without_name(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _canonical_value(value, {}) for key, value in config.items() if key != "name"}


def _canonical_value(value: Any, indices: Mapping[str, int]) -> Any:
    """Part of a configuration, with layers referred to by index and inner layers without names."""
    if isinstance(value, Mapping):
        inner_config: Any = value.get("config")
        if value.get("class_name") == _TENSOR and isinstance(inner_config, Mapping):
            history = _references(inner_config.get("keras_history"), indices)
            return {**value, "config": {**inner_config, "keras_history": history}}
        if _is_graph(inner_config):  # a model inside a wrapper layer
            return {**_other_fields(value), "config": _canonical_model(inner_config)}
        if _is_layer(inner_config):
            # A layer inside a wrapper needs no name: nothing reads features there.
            return {**_other_fields(value), "config": _without_name(inner_config)}
        return {key: _canonical_value(item, indices) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_canonical_value(item, indices) for item in value]
    return value


def _other_fields(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if key not in ("config", "name")}


def _is_layer(config: Any) -> bool:
    """Whether a configuration is a layer's. A dtype policy has a name too, which must stay."""
    return isinstance(config, Mapping) and {"name", "trainable"} <= config.keys()


def _references(value: Any, indices: Mapping[str, int]) -> Any:
    """References [layer, node, tensor], in any structure, with the layer's index as its name."""
    if isinstance(value, Mapping):
        return {key: _references(item, indices) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        if len(value) == 3 and isinstance(value[0], str):
            return [indices.get(value[0], value[0]), *value[1:]]
        return [_references(item, indices) for item in value]
    return value


def _name(layer: Mapping[str, Any]) -> str:
    return str(layer.get("name", layer["config"].get("name", "")))


def _is_automatic(name: str, layer: Mapping[str, Any]) -> bool:
    """Whether Keras chose the name, or the layer is an input, whose name says nothing.

    Keras uses the class in snake case, with a number from the second layer on.
    """
    if layer.get("class_name") == "InputLayer":
        return True
    words = re.sub(r"\W+", "", str(layer.get("class_name", "")))
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", words)
    words = re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()
    return re.fullmatch(rf"{re.escape(words)}(_\d+)?", name) is not None
