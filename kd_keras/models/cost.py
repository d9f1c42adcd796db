"""What a model costs: multiply-adds of one forward pass."""

import math

import keras

_COUNTED = (
    *(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D),
    *(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D),
    *(keras.layers.SeparableConv1D, keras.layers.SeparableConv2D),
    keras.layers.Dense,
)


def macs(model: keras.Model) -> int:
    """Multiply-adds of one example's forward pass: convolutions (all kinds) and dense layers.

    Batch norms, activations, additions and pooling are left out, as the literature does.

    Args:
        model: functional or Sequential, built, with a known image size; nested models are entered.

    Raises:
        ValueError: where a layer's cost is not known, or its size is open.
    """
    if not (isinstance(model, keras.Sequential) or hasattr(model, "operations")):
        raise ValueError(
            f"model {model.name!r} is a {type(model).__name__}; expected a functional or "
            "Sequential model. Its multiply-adds have to be counted by hand."
        )
    calls = {
        entry.get("config", {}).get("name"): len(entry.get("inbound_nodes", [1]))
        for entry in model.get_config()["layers"]
    }
    # A layer used twice costs twice; a Sequential uses each once.
    return sum(calls.get(layer.name, 1) * _layer_macs(layer) for layer in model.layers)


def _layer_macs(layer: keras.Layer) -> int:
    if isinstance(layer, keras.Model):
        return macs(layer)
    kernels = [weight for weight in layer.weights if len(weight.shape) > 1]
    if not kernels:
        return 0
    if not isinstance(layer, _COUNTED):
        raise ValueError(
            f"layer {layer.name!r} is a {type(layer).__name__}; expected convolutions and dense "
            "layers. Its multiply-adds have to be counted by hand."
        )
    positions = layer.output.shape[1:-1]  # every place of the output uses each kernel weight once
    if None in positions:
        raise ValueError(
            f"layer {layer.name!r} gives {layer.output.shape}; expected a known size. "
            "Build the model for one image size."
        )
    return math.prod(positions) * sum(math.prod(kernel.shape) for kernel in kernels)
