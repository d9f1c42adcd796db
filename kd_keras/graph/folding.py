"""Folds batch norms into the convolution or dense layer before them: one layer instead of two.

In inference a batch norm is x * scale + shift with fixed numbers, so a linear layer before it can
include them in its kernel and bias. This requires that nothing else reads the tensor in between.
"""

import collections
import itertools
from collections.abc import Iterable
from typing import Any

import keras
from keras import layers, ops

from kd_keras.tensor_types import Tensor

#: Linear layers, and the attribute of each that holds the kernel of its output channels.
_KERNELS = {
    layers.Conv1D: "kernel",
    layers.Conv2D: "kernel",
    layers.Conv3D: "kernel",
    layers.Conv2DTranspose: "kernel",
    layers.DepthwiseConv2D: "kernel",
    layers.SeparableConv2D: "pointwise_kernel",
    layers.Dense: "kernel",
}


class Folded:
    """A linear layer and the batch norm after it as one layer.

    Args:
        linear: layer of a type in `_KERNELS`.
        norm: batch norm that is the only reader of `linear`.
        policy: dtype policy of `layer`.

    Attributes:
        layer: runs in the place of both; the values of its variables come from `values`.
    """

    def __init__(self, linear: keras.Layer, norm: keras.Layer, policy: keras.DTypePolicy):
        self.linear, self.norm = linear, norm
        config = {**linear.get_config(), "use_bias": True, "dtype": policy}
        self.layer = type(linear).from_config(config)

    def values(self) -> list[tuple[Any, Tensor]]:
        """Each variable of `layer` with its value, from the present weights of both layers."""
        scale, shift = self._scale_and_shift()
        name = _KERNELS[type(self.linear)]
        kernel = ops.convert_to_tensor(getattr(self.linear, name))
        values = [(getattr(self.layer, name), kernel * self._along_channels(scale, kernel))]
        if self.linear.use_bias:
            shift = shift + ops.reshape(ops.convert_to_tensor(self.linear.bias), (-1,)) * scale
        values.append((self.layer.bias, shift))
        if isinstance(self.linear, layers.SeparableConv2D):
            depthwise = ops.convert_to_tensor(self.linear.depthwise_kernel)
            values.append((self.layer.depthwise_kernel, depthwise))
        return values

    def _scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """(C,) each: the batch norm is x * scale + shift."""
        norm = self.norm
        scale = ops.rsqrt(ops.convert_to_tensor(norm.moving_variance) + norm.epsilon)
        if norm.scale:
            scale = scale * norm.gamma
        shift = -ops.convert_to_tensor(norm.moving_mean) * scale
        return scale, shift + norm.beta if norm.center else shift

    def _along_channels(self, scale: Tensor, kernel: Tensor) -> Tensor:
        if isinstance(self.linear, layers.Conv2DTranspose):  # (h, w, out, in)
            return scale[:, None]
        if isinstance(self.linear, layers.DepthwiseConv2D):  # (h, w, in, multiplier)
            return ops.reshape(scale, kernel.shape[-2:])
        return scale


def pairs(graph: keras.Model) -> list[tuple[keras.Layer, keras.Layer]]:
    """The pairs of a linear layer and a batch norm in a flat functional model that can be folded.

    Args:
        graph: model from `taps.tapped_model`; what it outputs between two layers prevents folding.
    """
    nodes = list(itertools.chain(*graph._nodes_by_depth.values()))
    uses = collections.Counter(id(node.operation) for node in nodes)
    readers = collections.Counter(
        id(tensor) for node in nodes for tensor in _unique(node.input_tensors)
    )
    outputs = {id(tensor) for tensor in keras.tree.flatten(graph.output)}
    origins = {id(tensor): node for node in nodes for tensor in node.output_tensors}
    layer_pairs = []
    for node in nodes:
        norm = node.operation
        if type(norm) is not layers.BatchNormalization or uses[id(norm)] > 1:
            continue
        tensor = node.input_tensors[0]  # a mask may follow; it matters in training only
        linear = origins[id(tensor)].operation
        one_reader = readers[id(tensor)] == 1 and id(tensor) not in outputs
        if one_reader and uses[id(linear)] == 1 and _is_linear(linear) and _is_last(norm, tensor):
            layer_pairs.append((linear, norm))
    return layer_pairs


def _unique(tensors: Iterable[Any]) -> list[Any]:
    return list({id(tensor): tensor for tensor in tensors}.values())


def _is_linear(layer: Any) -> bool:
    channels_last = getattr(layer, "data_format", "channels_last") == "channels_last"
    return (
        type(layer) in _KERNELS
        and layer.activation is keras.activations.linear
        and channels_last
        and not getattr(layer, "quantization_mode", None)
        and not getattr(layer, "lora_enabled", False)
    )


def _is_last(norm: Any, tensor: Any) -> bool:
    """Whether a batch norm normalises along the last axis, the channels."""
    return norm.axis in (-1, len(tensor.shape) - 1)
