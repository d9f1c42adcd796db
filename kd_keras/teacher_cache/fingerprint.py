"""A model's fingerprint: a short text that names its weights, its layers and its code.

Caches and stored scores carry it, so that they are used again only for the same model.
"""

import contextlib
import hashlib
import inspect
import json
from pathlib import Path
from types import FunctionType
from typing import Any

import keras
import numpy as np

from kd_keras import files
from kd_keras.graph import architecture

#: Hashed first. Change it whenever the rules below change, so that a file named by the old rules is
#: never mistaken for the file of a different model.
FINGERPRINT = b"kd_keras fingerprint 4"


def fingerprint(model: keras.Model) -> str:
    """16 hex digits that depend on a model's weights, layers and code.

    Names that Keras gives by itself do not count, so a model that is built twice has one
    fingerprint.
    """
    total = hashlib.sha256(FINGERPRINT)
    config = architecture.canonical_config(model.get_config())
    total.update(json.dumps(config, default=_as_text, sort_keys=True).encode())
    for sublayer in dict.fromkeys([model, *model._flatten_layers()]):
        if isinstance(sublayer, keras.layers.TFSMLayer):  # its file holds more than its variables
            total.update(files.sha256(Path(sublayer.filepath)).encode())
        codes: list[Any] = [
            *type(sublayer).__mro__,
            *filter(inspect.isfunction, vars(sublayer).values()),
        ]
        for code in codes:
            total.update(_source(code).encode())
    for weight in model.weights:
        value = np.ascontiguousarray(weight)
        total.update(f"{value.dtype}{value.shape}".encode())
        total.update(value.data)
    return total.hexdigest()[:16]


def _as_text(value: Any) -> str:
    """The text of a value that JSON cannot hold. An array is hashed: str() leaves values out."""
    if isinstance(value, np.ndarray) or keras.ops.is_tensor(value):
        array = np.ascontiguousarray(value)
        return f"{array.dtype} {array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"
    return str(value)


def _source(code: type | FunctionType) -> str:
    """The source code of a user's class or function, whose name does not say what it computes.

    Functions that these call do not count. Empty for code of Keras, of Python and of this package,
    and where no source code can be read.
    """
    if code.__module__.partition(".")[0] in ("keras", "kd_keras", "builtins"):
        return ""
    with contextlib.suppress(OSError, TypeError):
        return inspect.getsource(code)
    return ""
