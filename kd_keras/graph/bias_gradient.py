"""The gradient of a bias in bfloat16, summed in float32.

TensorFlow's kernel for it, BiasAddGrad, sums in bfloat16 on CPUs: of 65,536 ones it gives 512 or
less, so that the biases of layers on maps or large batches learn at a fraction of their rate.
`tf.reduce_sum` accumulates in float32, at the same speed. See docs/speed.md.
"""

from typing import Any

import tensorflow as tf
from tensorflow.python.framework import ops
from tensorflow.python.ops import nn_grad

Tensor = Any
_OPERATION = "BiasAdd"


def sum_in_float32() -> None:
    """Replaces TensorFlow's gradient of BiasAdd for bfloat16 in this process.

    Keras adds nearly every bias by BiasAdd, custom layers do too by `keras.ops.add`; so the
    gradient is corrected where all of them take it from. Other precisions keep TensorFlow's own.
    """
    # Registering a second gradient for an operation is an error, so the entry itself is changed.
    ops.gradient_registry._registry[_OPERATION]["type"] = _gradient


def _gradient(operation: Any, upstream: Tensor) -> tuple[Tensor, Tensor]:
    if upstream.dtype != tf.bfloat16:
        return nn_grad._BiasAddGrad(operation, upstream)
    channels_first = operation.get_attr("data_format") in (b"NCHW", "NCHW")
    axes = list(range(upstream.shape.rank))
    axes.pop(1 if channels_first else -1)
    return upstream, tf.reduce_sum(upstream, axes)
