"""Stored outputs of a teacher for each view of each image, which the pipeline adds to batches."""

from typing import Any, Protocol, runtime_checkable

import numpy as np

from kd_keras.data.augmentation import Policy
from kd_keras.data.stores.store import Split


class TeacherRows(Protocol):
    """A teacher's outputs for each view of each example, such as a `kd_keras.teacher_cache`."""

    @property
    def shapes(self) -> dict[str, tuple[Any, ...]]:
        """Shape of each output, batch axis as None."""

    def __call__(self, ids: np.ndarray, view: int) -> dict[str, np.ndarray]:
        """The outputs for (B,) int `ids`, in their order: (B, …) float32 by output name."""


@runtime_checkable
class CheckedRows(TeacherRows, Protocol):
    """Rows that know which images and views they belong to, such as a cache on disk."""

    def require_batches(
        self, split: Split, *, policy: Policy, view_seed: int, most_views: int
    ) -> None:
        """Raises ValueError unless there is a row for each view that such batches show.

        Such batches show the views 0 to `most_views` - 1 of each image of the split.

        Args:
            split: the images.
            policy: their augmentation.
            view_seed: seed of the views.
            most_views: number of views of each image.
        """
