"""Which precision a machine is fast in, a student steps in, and layers compute in."""

from collections.abc import Iterable

import keras
import tensorflow as tf

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


def best_precision() -> str:
    """The fastest precision of this machine, one that keeps float32's range where there is one."""
    native = native_precisions()
    return next(p for p in ("mixed_bfloat16", "mixed_float16", "float32") if p in native)


def precision_of_training(model: keras.Model, precision: str) -> str:
    """The precision that a student steps in: `precision`, or float32 where that is faster.

    A CPU takes longer over the gradients of networks of depthwise convolutions in bfloat16, and
    sums their kernels' gradients in it, some percent too small; the forward pass alone is faster.
    """
    on_cpu = not tf.config.list_physical_devices("GPU")
    depthwise = (
        keras.layers.DepthwiseConv1D,
        keras.layers.DepthwiseConv2D,
        keras.layers.SeparableConv1D,
        keras.layers.SeparableConv2D,
    )
    slow = any(isinstance(layer, depthwise) for layer in model._flatten_layers())
    return "float32" if precision == "mixed_bfloat16" and on_cpu and slow else precision


def native_precisions() -> set[str]:
    """Precisions that every GPU, or else the CPU, has units for; others are right, but slow."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        by_bfloat16 = _cpu_flags() & {"avx512_bf16", "amx_bf16"}
        return {"float32", *(["mixed_bfloat16"] if by_bfloat16 else [])}
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    oldest = min(detail.get("compute_capability", (0, 0)) for detail in details)
    since = {"float32": (0, 0), "mixed_float16": (7, 0), "mixed_bfloat16": (8, 0)}
    return {precision for precision, version in since.items() if oldest >= version}


def lowest_precision(layers: Iterable[keras.Layer]) -> str:
    """The one of `PRECISIONS` with the smallest range that any of the layers computes in.

    Nested layers count too. "mixed_float16" means that small gradients vanish unless the loss is
    scaled.
    """
    parts = (part for layer in layers for part in layer._flatten_layers())
    inputs = keras.layers.InputLayer  # computes nothing, and takes Keras's global policy
    computed_in = {part.compute_dtype for part in parts if not isinstance(part, inputs)}
    lowest = ("float16", "bfloat16")
    return next((f"mixed_{dtype}" for dtype in lowest if dtype in computed_in), "float32")


def _cpu_flags() -> set[str]:
    try:
        with open("/proc/cpuinfo") as lines:
            return next((set(ln.split()) for ln in lines if ln.startswith("flags")), set())
    except OSError:
        return set()  # no Linux: float32 is right everywhere
