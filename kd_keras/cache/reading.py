"""A cache as a teacher: the rows of the very views that a batch holds."""

from pathlib import Path
from typing import Any

import numpy as np

from kd_keras.cache import coding, layout
from kd_keras.cache.layout import Header


class Cache:
    """A finished teacher cache, every part of the asked views checked and memory-mapped.

    Args:
        folder: of the cache.
        views: how many views to open; None opens all.

    Raises:
        FileNotFoundError: no cache there.
        ValueError: fewer views than asked, a part that is unfinished or damaged, a newer format.
    """

    def __init__(self, folder: Path, *, views: int | None = None):
        self.folder = folder
        self.header: Header = layout.read_header(folder)
        self.views = self.header.views if views is None else views
        if self.views > self.header.views:
            raise ValueError(
                f"the cache {folder} has {self.header.views} views of each image; expected "
                f"{self.views}. Make the others with `kdk cache --views {self.views}`."
            )
        self.ids = layout.read_ids(folder, self.header)
        self._parts = [
            [layout.read_part(folder, self.header, v, p) for p in range(self.header.parts)]
            for v in range(self.views)
        ]

    @property
    def shapes(self) -> dict[str, tuple[Any, ...]]:
        """Shape of each output, batch axis as None."""
        return {name: (None, *shape) for name, shape in self.header.outputs.items()}

    def require(self, asked: Header, ids: np.ndarray) -> None:
        """Raises ValueError unless the rows are those of `asked`, for all of `ids`."""
        differing = layout.differences(self.header, asked)
        if differing:
            raise ValueError(
                f"the cache {self.folder} was made with another {' and another '.join(differing)} "
                "than this run's. Give the run the settings that the cache was made with, or make "
                "another cache."
            )
        lacking = sorted(set(asked.outputs) - set(self.header.outputs))
        if lacking:
            raise ValueError(
                f"the cache {self.folder} holds {sorted(self.header.outputs)} of the teacher; "
                f"expected {lacking} too. Make it again with --taps {'+'.join(lacking)}."
            )
        missing = np.setdiff1d(ids, self.ids)
        if len(missing):
            raise ValueError(
                f"the cache {self.folder} has no rows for {len(missing):,} of the "
                f"{len(ids):,} training images; expected all. Make it on these data."
            )

    def __call__(self, ids: np.ndarray, view: int) -> dict[str, np.ndarray]:
        """The outputs for one view of examples.

        Args:
            ids: (B,) int, any order.
            view: 0 to views - 1.

        Returns:
            (B, …) float32 by output name.
        """
        rows = np.searchsorted(self.ids, ids)
        part_of, place = np.divmod(rows, self.header.rows_per_part)
        stored = {
            name: np.empty((len(ids), *shape), dtype)
            for name, (shape, dtype) in self.header.stored.items()
        }
        for part in np.unique(part_of):
            here = np.flatnonzero(part_of == part)
            for name, array in self._parts[view][part].items():
                stored[name][here] = array[place[here]]
        return coding.decoded(stored, self.header)
