"""Lengths and directions of vectors, with gradients that stay finite at the zero vector."""

from keras import ops

from kd_keras.tensor_types import Tensor

SMALLEST_NORM = 1e-12  # smallest divisor, as in the reference implementations


def flat(features: Tensor) -> Tensor:
    """(B, ...) features to one float32 vector per example, (B, D)."""
    features = ops.cast(features, "float32")
    size = 1
    for length in features.shape[1:]:
        size *= length
    return ops.reshape(features, (-1, size))


def magnitude(values: Tensor) -> Tensor:
    """|values|, float32, with gradient 0 at 0 on every backend (that of JAX is 1)."""
    values = ops.cast(values, "float32")
    return values * ops.stop_gradient(ops.sign(values))


def norm(vectors: Tensor, axis: int = -1) -> Tensor:
    """L2 norm along `axis`, which becomes 1 long; float32; gradient 0 at the zero vector.

    Args:
        vectors: float, any shape.
        axis: the axis of a vector's entries.
    """
    squares = ops.sum(ops.square(ops.cast(vectors, "float32")), axis=axis, keepdims=True)
    # The slope of sqrt is infinite at 0, and times zero it is NaN: never take sqrt of 0.
    positive = squares > 0
    return ops.where(positive, ops.sqrt(ops.where(positive, squares, 1.0)), 0.0)


def unit(vectors: Tensor, axis: int = -1) -> Tensor:
    """`vectors` / max(norm, 1e-12) along `axis`, float32.

    No gradient flows to a vector shorter than that: it has no direction to learn, and the
    formula's slope there is 1e12.

    Args:
        vectors: float, any shape.
        axis: the axis of a vector's entries.
    """
    vectors = ops.cast(vectors, "float32")
    length = norm(vectors, axis)
    vectors = ops.where(length > SMALLEST_NORM, vectors, ops.stop_gradient(vectors))
    return vectors / ops.maximum(length, SMALLEST_NORM)
