"""The gradient of a bias in bfloat16, summed in float32.

TensorFlow's kernel for this gradient, BiasAddGrad, sums in bfloat16 on CPUs: for 65,536 ones it
returns 512 or less. So the biases of convolutions, or of any layer on large batches, would learn
too slowly. `tf.reduce_sum` accumulates in float32 at the same speed. See docs/speed.md.
"""

from typing import Any

import tensorflow as tf
from tensorflow.python.framework import ops
from tensorflow.python.ops import nn_grad

from kd_keras.tensor_types import Tensor

_OPERATION = "BiasAdd"


def sum_in_float32() -> None:
    """Replaces TensorFlow's gradient of BiasAdd for bfloat16 in this process.

    Keras adds nearly every bias by BiasAdd, and so do custom layers that call `keras.ops.add`. So
    the gradient is replaced in TensorFlow's registry, also for models that are not distilled. Other
    precisions keep TensorFlow's gradient.
    """
    # Registering a second gradient for an operation is an error, so the entry itself is replaced.
    ops.gradient_registry._registry[_OPERATION]["type"] = _gradient


def _gradient(operation: Any, upstream: Tensor) -> tuple[Tensor, Tensor]:
    if upstream.dtype != tf.bfloat16:
        to_values, to_bias = nn_grad._BiasAddGrad(operation, upstream)
        return to_values, to_bias
    channels_first = operation.get_attr("data_format") in (b"NCHW", "NCHW")
    axes = list(range(upstream.shape.rank))
    axes.pop(1 if channels_first else -1)
    return upstream, tf.reduce_sum(upstream, axes)
