"""Images of several memory-mapped files, which read as one array of rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np


class JoinedImages:
    """The rows of several (N, H, W, C) uint8 arrays, one array after the other; nothing is copied.

    Args:
        arrays: one array or more, of the same image shape.

    Raises:
        ValueError: the image shapes differ.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, arrays: Sequence[Any]):
        shapes = {tuple(array.shape[1:]) for array in arrays}
        if len(shapes) != 1:
            raise ValueError(
                f"the images have shapes {sorted(shapes)}; expected one. Resize them to one size."
            )
        self.arrays = tuple(arrays)
        self._starts = np.cumsum([0, *map(len, self.arrays)])  # row of each part's first image
        self.shape: tuple[int, ...] = (int(self._starts[-1]), *shapes.pop())

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """(B, H, W, C) uint8: a copy of the images in (B,) int rows."""
        images = np.empty((len(rows), *self.shape[1:]), np.uint8)
        array_indices = np.searchsorted(self._starts, rows, side="right") - 1
        for number in np.unique(array_indices).tolist():
            positions = np.flatnonzero(array_indices == number)
            images[positions] = np.asarray(self.arrays[number])[
                rows[positions] - self._starts[number]
            ]
        return images
