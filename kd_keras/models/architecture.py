"""Which models are one network, whatever weights they hold and whatever their layers are called."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import keras

from kd_keras import taps


def fingerprint(model: keras.Model) -> str | None:
    """16 hex digits of a model's layers and connections; weights and names do not count.

    None for a model that is not functional or Sequential: its code decides what it computes.
    """
    if not taps.is_graph(model):
        return None
    text = json.dumps(model.get_config(), default=str, sort_keys=True)
    for place, part in enumerate(_parts(model)):
        text = text.replace(json.dumps(part.name), f'"part {place}"')
    shapes = [tuple(weight.shape) for weight in model.weights]
    return hashlib.sha256(f"{type(model)}{shapes}{text}".encode()).hexdigest()[:16]


def _parts(model: keras.Model) -> Iterator[Any]:
    """The model, its layers and operations, and those of nested models, in their order."""
    yield model
    for part in [*model._flatten_layers(recursive=False), *getattr(model, "operations", [])]:
        if isinstance(part, keras.Model) and part is not model:
            yield from _parts(part)
        else:
            yield part
