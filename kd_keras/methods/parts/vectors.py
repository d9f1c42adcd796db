"""Lengths and directions of vectors, with gradients that stay finite at the zero vector."""

from typing import Any

from keras import ops

Tensor = Any
SMALLEST_NORM = 1e-12  # the reference implementations divide by no less than this


def flat(features: Tensor) -> Tensor:
    """(B, ...) features as one float32 vector an example, (B, D)."""
    features = ops.cast(features, "float32")
    size = 1
    for length in features.shape[1:]:
        size *= length
    return ops.reshape(features, (-1, size))


def magnitude(values: Tensor) -> Tensor:
    """|values|, float32, whose gradient at 0 is 0 on every backend (JAX's own is 1)."""
    values = ops.cast(values, "float32")
    return values * ops.stop_gradient(ops.sign(values))


def norm(vectors: Tensor, axis: int = -1) -> Tensor:
    """L2 norm along `axis`, kept with length 1, float32; its gradient at the zero vector is 0."""
    squares = ops.sum(ops.square(ops.cast(vectors, "float32")), axis=axis, keepdims=True)
    # sqrt has an infinite slope at 0, which even a zero factor turns into NaN: keep it off 0.
    positive = squares > 0
    return ops.where(positive, ops.sqrt(ops.where(positive, squares, 1.0)), 0.0)


def unit(vectors: Tensor, axis: int = -1) -> Tensor:
    """`vectors` / max(norm, 1e-12) along `axis`, float32.

    Below that floor no gradient flows: a vector so short has no direction to learn, and the
    formula's own slope there is 1e12.
    """
    vectors = ops.cast(vectors, "float32")
    length = norm(vectors, axis)
    vectors = ops.where(length > SMALLEST_NORM, vectors, ops.stop_gradient(vectors))
    return vectors / ops.maximum(length, SMALLEST_NORM)
