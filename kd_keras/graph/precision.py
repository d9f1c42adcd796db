"""Precisions: the fastest one of the machine, the one to train in, and the one of given layers."""

from collections.abc import Iterable

import keras
import tensorflow as tf

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


def best_precision() -> str:
    """The fastest precision of this machine; bfloat16, with float32's range, before float16."""
    supported_precisions = native_precisions()
    fastest_first = ("mixed_bfloat16", "mixed_float16", "float32")
    return next(precision for precision in fastest_first if precision in supported_precisions)


def precision_of_training(model: keras.Model, precision: str) -> str:
    """The precision to train a student in: `precision`, or float32 where that is faster.

    On CPUs, bfloat16 gradients of depthwise convolutions are slow, and those of their kernels some
    percent too small, since they are summed in bfloat16. Their forward pass is faster in bfloat16.

    Args:
        model: the student.
        precision: one of `PRECISIONS`.
    """
    on_cpu = not tf.config.list_physical_devices("GPU")
    depthwise = (
        keras.layers.DepthwiseConv1D,
        keras.layers.DepthwiseConv2D,
        keras.layers.SeparableConv1D,
        keras.layers.SeparableConv2D,
    )
    has_depthwise = any(isinstance(layer, depthwise) for layer in model._flatten_layers())
    return "float32" if precision == "mixed_bfloat16" and on_cpu and has_depthwise else precision


def native_precisions() -> set[str]:
    """Precisions with hardware support on all GPUs, or on the CPU without GPUs; others are slow."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        has_bfloat16 = cpu_flags() & {"avx512_bf16", "amx_bf16"}
        return {"float32", "mixed_bfloat16"} if has_bfloat16 else {"float32"}
    # No GPU has run this yet.
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    lowest_capability = min(detail.get("compute_capability", (0, 0)) for detail in details)
    needed_capabilities = {"float32": (0, 0), "mixed_float16": (7, 0), "mixed_bfloat16": (8, 0)}
    return {
        name
        for name, needed_capability in needed_capabilities.items()
        if lowest_capability >= needed_capability
    }


def lowest_precision(layers: Iterable[keras.Layer]) -> str:
    """The precision, one of `PRECISIONS`, of the layer that computes in the smallest range.

    Nested layers count too. With "mixed_float16", small gradients vanish unless the loss is scaled.
    """
    sublayers = (sublayer for layer in layers for sublayer in layer._flatten_layers())
    inputs = keras.layers.InputLayer  # computes nothing; has the dtype of Keras's global policy
    dtypes = {sublayer.compute_dtype for sublayer in sublayers if not isinstance(sublayer, inputs)}
    lowest_first = ("float16", "bfloat16")
    return next((f"mixed_{dtype}" for dtype in lowest_first if dtype in dtypes), "float32")


def cpu_flags() -> set[str]:
    """The processor's features as Linux names them, such as "avx512_bf16"; else none."""
    try:
        with open("/proc/cpuinfo") as lines:
            return next((set(line.split()) for line in lines if line.startswith("flags")), set())
    except OSError:
        return set()  # not Linux: float32 works everywhere
