"""Average-pools feature maps to a common height and width."""

import numpy as np
from keras import ops

from kd_keras.tensor_types import Tensor


def pooling_matrix(size: int, pooled_size: int) -> np.ndarray:
    """(n, size) float32: row i averages entries floor(i*size/n) .. ceil((i+1)*size/n) - 1.

    Args:
        size: number of entries before pooling, >= 1.
        pooled_size: number n of entries after it, >= 1.
    """
    matrix = np.zeros((pooled_size, size), "float32")
    for i in range(pooled_size):
        start, stop = i * size // pooled_size, -((-(i + 1) * size) // pooled_size)
        matrix[i, start:stop] = 1 / (stop - start)
    return matrix


def adaptive_average_pool(features: Tensor, size: tuple[int, int]) -> Tensor:
    """Averages (B, H, W, C) float maps to (B, *size, C); windows may overlap.

    Args:
        features: (B, H, W, C) float, of known height and width.
        size: height and width of the result.
    """
    height, width = features.shape[1:3]
    if (height, width) == tuple(size):
        return features
    rows = pooling_matrix(height, size[0])
    columns = pooling_matrix(width, size[1])
    pooled_rows = ops.einsum("ph,bhwc->bpwc", rows, features)
    return ops.einsum("qw,bpwc->bpqc", columns, pooled_rows)


def smaller(first: tuple[int, int], second: tuple[int, int]) -> tuple[int, int]:
    """The size to which both maps can be pooled: the smaller height and the smaller width.

    Args:
        first, second: (H, W) of two maps.
    """
    return min(first[0], second[0]), min(first[1], second[1])
