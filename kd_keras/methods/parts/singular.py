"""Leading right singular vectors, with gradients that stay finite where singular values coincide.

The gradient of a full decomposition divides by the gaps between all singular values, zeros
included. On a channel that is all zero it is NaN on some backends. Here the decomposition is a
constant, and the one vector that is used gets its exact first-order dependence on the matrix.
"""

from typing import NamedTuple

from keras import ops

from kd_keras.methods.parts import vectors
from kd_keras.tensor_types import Tensor

#: Squared singular values count as equal if they differ by less than this share of the largest:
#: float32 cannot tell their vectors apart.
SMALLEST_GAP = 1e-6


class Decomposition(NamedTuple):
    """Decomposition of (B, P, C) matrices, R = min(P, C); gradients flow to `matrices` only."""

    matrices: Tensor  # (B, P, C) float32, divided by their largest entry
    squares: Tensor  # (B, R) squared singular values, falling
    right: Tensor  # (B, C, R) right singular vectors; zero columns where the singular value is 0


def decompose(matrices: Tensor) -> Decomposition:
    """Decomposes (B, P, C) matrices A through the smaller of A'A and AA'."""
    matrices = ops.cast(matrices, "float32")
    largest_entry = ops.max(ops.abs(ops.stop_gradient(matrices)), axis=(1, 2), keepdims=True)
    matrices = matrices / ops.where(largest_entry > 0, largest_entry, 1.0)
    constant = ops.stop_gradient(matrices)
    is_wide = matrices.shape[1] < matrices.shape[2]
    gram = ops.einsum("bpc,bqc->bpq" if is_wide else "bpc,bpd->bcd", constant, constant)
    squares, right_vectors = (ops.flip(factor, axis=-1) for factor in ops.linalg.eigh(gram))
    if is_wide:
        right_vectors = vectors.unit(ops.einsum("bpc,bpr->bcr", constant, right_vectors), axis=1)
    squares = ops.maximum(squares, 0.0)
    is_positive = (squares > SMALLEST_GAP * squares[:, :1])[:, None]
    right_vectors = ops.where(is_positive, right_vectors, 0.0)
    return Decomposition(matrices, ops.stop_gradient(squares), ops.stop_gradient(right_vectors))


def leading_vector(decomposition: Decomposition) -> Tensor:
    """(B, C): the first right singular vector, with the sign that makes its sum >= 0.

    No gradient. Features after a ReLU have a first vector whose entries share one sign.
    """
    first = decomposition.right[:, :, 0]
    return ops.where(ops.sum(first, axis=-1, keepdims=True) < 0, -first, first)


def nearest_vector(decomposition: Decomposition, direction: Tensor, *, among: int) -> Tensor:
    """(B, C): the one of the first `among` right singular vectors nearest to `direction`.

    Nearest means the largest absolute cosine. The sign makes the cosine >= 0. Gradients flow to
    the matrices.

    Args:
        decomposition: decomposition of the matrices.
        direction: (B, C) float unit vectors.
        among: number of vectors to choose from, >= 1.
    """
    cosines = ops.einsum("bcr,bc->br", decomposition.right[:, :, :among], direction)
    choice = ops.argmax(ops.abs(cosines), axis=-1)
    one_hot = ops.one_hot(choice, decomposition.right.shape[-1])  # (B, R)
    signs = ops.sign(ops.sum(cosines * one_hot[:, : cosines.shape[-1]], axis=-1, keepdims=True))
    return signs * _with_gradient(decomposition, one_hot)


def _with_gradient(decomposition: Decomposition, one_hot: Tensor) -> Tensor:
    """The chosen vector v of A'A v = q v, with its dependence on A.

    dv = sum over the other vectors w, of square r, of w (w' d(A'A) v) / (q - r); all directions
    outside the R vectors have r = 0.
    """
    chosen_vector = ops.einsum("bcr,br->bc", decomposition.right, one_hot)
    square = ops.sum(decomposition.squares * one_hot, axis=-1, keepdims=True)
    smallest_gap = SMALLEST_GAP * decomposition.squares[:, :1]
    left_vector = ops.einsum("bpc,bc->bp", decomposition.matrices, chosen_vector)
    image = ops.einsum("bpc,bp->bc", decomposition.matrices, left_vector)
    image_change = image - ops.stop_gradient(image)  # its value is 0, its gradient is not
    along = ops.einsum("bcr,bc->br", decomposition.right, image_change)
    slopes = along * _inverse(square - decomposition.squares, smallest_gap)
    change_within = ops.einsum("bcr,br->bc", decomposition.right, slopes)
    residual = image_change - ops.einsum("bcr,br->bc", decomposition.right, along)
    change_outside = residual * _inverse(square, smallest_gap)
    return chosen_vector + change_within + change_outside


def _inverse(gaps: Tensor, smallest_gap: Tensor) -> Tensor:
    """1 / gaps, and 0 for gaps of at most `smallest_gap`: those directions get no gradient."""
    is_distinct = ops.abs(gaps) > smallest_gap
    return ops.where(is_distinct, 1 / ops.where(is_distinct, gaps, 1.0), 0.0)
