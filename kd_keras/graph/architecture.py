"""A model's architecture as plain data, without the names that Keras gives by itself.

Keras numbers its names (`conv2d_3`), so that a model built twice has two configurations. Here each
such name becomes the layer's place in its model. A name that a person chose stays: methods read
features by it. Only the fields that hold a layer's name change, never a value that equals one, such
as an activation called "relu" beside a layer of that name.
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
    """16 hex digits of a model's layers, connections and shapes of weights, whatever their values.

    None for a model that is not functional or Sequential: its code decides what it computes.
    """
    if not taps.is_graph(model):
        return None
    text = json.dumps(of_config(model.get_config()), default=str, sort_keys=True)
    shapes = [tuple(weight.shape) for weight in model.weights]
    return hashlib.sha256(f"{type(model)}{shapes}{text}".encode()).hexdigest()[:16]


def of_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a model, `model.get_config()`, with places for automatic names.

    Args:
        config: of a Functional, Sequential or subclassed model; nested models are in it.

    Returns:
        A copy. The model's own name is left out.
    """
    return _of_model(config) if _is_graph(config) else _without_name(config)


def _is_graph(config: Any) -> bool:
    """Whether a configuration lists layers, each with a configuration of its own."""
    layers = config.get("layers") if isinstance(config, Mapping) else None
    return isinstance(layers, list) and all(
        isinstance(layer, Mapping) and isinstance(layer.get("config"), Mapping) for layer in layers
    )


def _of_model(config: Mapping[str, Any]) -> dict[str, Any]:
    layers = config["layers"]
    # Numbers, which no name that a person chose can equal.
    places = {
        _name(layer): place
        for place, layer in enumerate(layers)
        if _is_automatic(_name(layer), layer)
    }
    result = {key: _renamed(value, {}) for key, value in config.items() if key != "layers"}
    result.pop("name", None)
    for key in ("input_layers", "output_layers"):
        if key in config:
            result[key] = _references(config[key], places)
    result["layers"] = [_of_layer(layer, places) for layer in layers]
    return result


def _of_layer(layer: Mapping[str, Any], places: Mapping[str, int]) -> dict[str, Any]:
    name = places.get(_name(layer), _name(layer))
    inner = layer["config"]
    config = _of_model(inner) if _is_graph(inner) else _without_name(inner)
    left_out = ("config", "compile_config")  # how a nested model was trained is no part of it
    result = {key: _renamed(value, places) for key, value in layer.items() if key not in left_out}
    return {**result, "name": name, "config": config}


def _without_name(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _renamed(value, {}) for key, value in config.items() if key != "name"}


def _renamed(value: Any, places: Mapping[str, int]) -> Any:
    """A part of a configuration: references to layers by place, layers within without names."""
    if isinstance(value, Mapping):
        inner: Any = value.get("config")
        if value.get("class_name") == _TENSOR and isinstance(inner, Mapping):
            history = _references(inner.get("keras_history"), places)
            return {**value, "config": {**inner, "keras_history": history}}
        if _is_graph(inner):  # a model that a layer wraps
            return {**_others(value), "config": _of_model(inner)}
        if _is_layer(inner):
            # A wrapped layer is found by its place alone: nothing reads features inside a wrapper.
            return {**_others(value), "config": _without_name(inner)}
        return {key: _renamed(part, places) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_renamed(part, places) for part in value]
    return value


def _others(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: part for key, part in value.items() if key not in ("config", "name")}


def _is_layer(config: Any) -> bool:
    """Whether a configuration is a layer's; a dtype policy has a name too, and it counts."""
    return isinstance(config, Mapping) and {"name", "trainable"} <= config.keys()


def _references(value: Any, places: Mapping[str, int]) -> Any:
    """[layer, node, tensor] with the layer's place, in any structure of such."""
    if isinstance(value, Mapping):
        return {key: _references(part, places) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        if len(value) == 3 and isinstance(value[0], str):
            return [places.get(value[0], value[0]), *value[1:]]
        return [_references(part, places) for part in value]
    return value


def _name(layer: Mapping[str, Any]) -> str:
    return str(layer.get("name", layer["config"].get("name", "")))


def _is_automatic(name: str, layer: Mapping[str, Any]) -> bool:
    """Whether the name says nothing: of an input, or given by Keras.

    Keras gives the class in snake case, numbered from the second on.
    """
    if layer.get("class_name") == "InputLayer":
        return True
    words = re.sub(r"\W+", "", str(layer.get("class_name", "")))
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", words)
    words = re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()
    return re.fullmatch(rf"{re.escape(words)}(_\d+)?", name) is not None
