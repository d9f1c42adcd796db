"""The cost of a model: multiply-adds of one forward pass."""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from kd_keras.graph import taps

Shape = tuple[int, ...]
#: From a layer, the shapes of its inputs and the shape of its output to its multiply-adds.
MacsFunction = Callable[[Any, list[Shape], Shape], int]


def macs(model: keras.Model) -> int:
    """Multiply-adds of one example's forward pass: convolutions (all kinds) and matrix products.

    Every call of a layer counts, so a layer that is used twice costs twice. Products with the zeros
    of a padding count too. Batch norms, activations, additions, pooling and biases are left out, as
    the literature does.

    Args:
        model: functional or Sequential, built, with a known image size; nested models are entered.

    Raises:
        ValueError: a layer's cost or size is unknown.
    """
    if not taps.is_graph(model):
        raise ValueError(
            f"model {model.name!r} is a {type(model).__name__}; expected a functional or "
            "Sequential model. Count its multiply-adds by hand."
        )
    return sum(_call_cost(*call) for call in taps.calls(model))


def _call_cost(operation: Any, inputs: Any, output: Any) -> int:
    macs_function = _macs_function(operation)
    if macs_function is None and _is_free(operation):
        return 0
    if macs_function is None:
        raise ValueError(
            f"layer {operation.name!r} is a {type(operation).__name__}; expected convolutions, "
            "dense layers, attention, and layers without products. Count its multiply-adds by "
            "hand."
        )
    result = keras.tree.flatten(output)[0].shape  # attention may give its weights too
    if any(None in tensor.shape[1:] for tensor in keras.tree.flatten([inputs, output])):
        raise ValueError(
            f"layer {operation.name!r} has an output of shape {result}; expected a known size. "
            "Build the model for one image size."
        )
    shapes = [tensor.shape for tensor in keras.tree.flatten(inputs)]
    return macs_function(operation, shapes, result)


def _macs_function(operation: Any) -> MacsFunction | None:
    """The function that counts the operation's multiply-adds; None if there is none."""
    if isinstance(operation, layers.AdditiveAttention):  # an Attention without the product
        return None
    if type(operation).__name__ == "Matmul":
        return _matrix_product
    return next(
        (c for layer_types, c in _MACS_FUNCTIONS.items() if isinstance(operation, layer_types)),
        None,
    )


def _convolution(layer: Any, inputs: list[Shape], output: Shape) -> int:
    """Every place of the output uses each kernel weight once."""
    return _num_positions(layer, output) * _weights(layer)


def _transposed_conv(layer: Any, inputs: list[Shape], output: Shape) -> int:
    """Every place of the input uses each kernel weight once."""
    return _num_positions(layer, inputs[0]) * _weights(layer)


def _dense(layer: Any, inputs: list[Shape], output: Shape) -> int:
    weights: int = math.prod(layer.kernel.shape)
    return math.prod(output[1:-1]) * weights


def _einsum(layer: Any, inputs: list[Shape], output: Shape) -> int:
    """The product of all axes of the equation but the batch, which is the input's first."""
    operand, kernel = layer.equation.split("->")[0].replace(" ", "").split(",")
    axis_names = operand.removeprefix("...")
    (shape,) = inputs
    num_positions = math.prod(shape[1 : -len(axis_names)]) if axis_names != operand else 1
    sizes = dict(zip(axis_names, shape[-len(axis_names) :], strict=True))
    if axis_names == operand:
        sizes.pop(axis_names[0])
    sizes |= dict(zip(kernel, layer.kernel.shape, strict=True))
    return num_positions * math.prod(sizes.values())


def _multi_head(layer: Any, inputs: list[Shape], output: Shape) -> int:
    """Projections of query, key and value, scores, their mean of the values, and the output's."""
    query, value = inputs[0], inputs[1]
    key = inputs[2] if len(inputs) > 2 else value
    heads = layer.num_heads
    num_positions, num_value_positions = math.prod(query[1:-1]), math.prod(value[1:-1])
    projections: int = heads * (
        num_positions * query[-1] * layer.key_dim
        + num_value_positions * key[-1] * layer.key_dim
        + num_value_positions * value[-1] * layer.value_dim
        + num_positions * layer.value_dim * output[-1]
    )
    products: int = heads * num_positions * num_value_positions * (layer.key_dim + layer.value_dim)
    return projections + products


def _dot_attention(layer: Any, inputs: list[Shape], output: Shape) -> int:
    """Scores of every query with every key, and their mean of the values."""
    query, value, *key = inputs
    return query[1] * value[1] * ((key[0] if key else value)[-1] + value[-1])


def _each_step(layer: Any, inputs: list[Shape], output: Shape) -> int:
    ((batch, steps, *feature_shape),) = inputs
    step, inner_layer = keras.KerasTensor((batch, *feature_shape)), layer.layer
    if taps.is_graph(inner_layer):
        return steps * macs(inner_layer)
    return steps * _call_cost(inner_layer, step, inner_layer.compute_output_spec(step))


def _matrix_product(operation: Any, inputs: list[Shape], output: Shape) -> int:
    return math.prod(output[1:]) * inputs[0][-1]


def _num_positions(layer: Any, shape: Shape) -> int:
    channels_first = layer.data_format == "channels_first"
    return math.prod(shape[2:] if channels_first else shape[1:-1])


def _weights(layer: Any) -> int:
    """Kernel weights; of a separable convolution those of both kernels."""
    return sum(math.prod(weight.shape) for weight in layer.weights if len(weight.shape) > 1)


_MACS_FUNCTIONS: dict[tuple[type, ...], MacsFunction] = {
    (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose): _transposed_conv,
    (
        *(layers.Conv1D, layers.Conv2D, layers.Conv3D),
        *(layers.DepthwiseConv1D, layers.DepthwiseConv2D),
        *(layers.SeparableConv1D, layers.SeparableConv2D),
    ): _convolution,
    (layers.Dense,): _dense,
    (layers.EinsumDense,): _einsum,
    (layers.MultiHeadAttention,): _multi_head,
    (layers.Attention,): _dot_attention,
    (layers.TimeDistributed,): _each_step,
}
#: Parts of Keras whose layers multiply nothing that the literature counts.
_FREE_LAYER_MODULES = {
    *("activations", "normalization", "pooling", "regularization", "reshaping", "merging"),
    "preprocessing",
}
_FREE = (layers.InputLayer, layers.Identity, layers.Masking, layers.Embedding)
_FREE_OF_APPLICATIONS = ("LayerScale", "StochasticDepth")  # keras.applications's own
#: Of such parts, and among the operations, those that do multiply and are not counted here.
_NOT_FREE = ("Dot", "SpectralNormalization", "STFTSpectrogram", "MelSpectrogram")
_NOT_FREE_OPERATIONS = (
    *("Dot", "Einsum", "Tensordot", "Inner", "Outer", "Vdot", "Correlate"),
    *("Conv", "DepthwiseConv", "SeparableConv", "ConvTranspose", "DotProductAttention"),
)


def _is_free(operation: Any) -> bool:
    """Whether an operation is known to multiply nothing that counts."""
    name = type(operation).__name__
    if not isinstance(operation, keras.Layer):
        return name not in _NOT_FREE_OPERATIONS
    modules = [base.__module__.split(".") for base in type(operation).__mro__]
    layer_modules = {module[3] for module in modules if module[:3] == ["keras", "src", "layers"]}
    is_known = isinstance(operation, _FREE) or name in _FREE_OF_APPLICATIONS
    return name not in _NOT_FREE and (is_known or bool(layer_modules & _FREE_LAYER_MODULES))
