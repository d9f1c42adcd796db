"""A cache as a teacher: the rows of the very views that a batch holds."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras.data.augment import Augment
from kd_keras.data.store import Split
from kd_keras.teacher_cache import encoding, file_format
from kd_keras.teacher_cache.file_format import Header


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
        self.header: Header = file_format.read_header(folder)
        self.views = self.header.views if views is None else views
        if self.views > self.header.views:
            raise ValueError(
                f"the cache {folder} has {self.header.views} views of each image; expected "
                f"{self.views}. Make the others with `kdk cache --views {self.views}`."
            )
        self.ids = file_format.read_ids(folder, self.header)
        self._parts = [
            [file_format.read_part(folder, self.header, v, p) for p in range(self.header.parts)]
            for v in range(self.views)
        ]

    @property
    def shapes(self) -> dict[str, tuple[Any, ...]]:
        """Shape of each output, batch axis as None."""
        return {name: (None, *shape) for name, shape in self.header.outputs.items()}

    def require(self, asked: Header, ids: np.ndarray) -> None:
        """Raises ValueError unless the rows are those of `asked`, for all of `ids`."""
        differing = file_format.differences(self.header, asked)
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

    def require_batches(
        self, split: Split, *, policy: Augment, view_seed: int, most_views: int
    ) -> None:
        """Raises ValueError unless the cache has a row for every view that batches will show.

        Args:
            split: the examples of the batches.
            policy: their augmentation.
            view_seed: of the crops and flips.
            most_views: how many views of an image the batches show, numbers 0 to most_views - 1.
        """
        batches = {
            "augmentation": dataclasses.asdict(policy),
            "seed of the views": view_seed,
            "data": split.fingerprint or self.header.data,
            "image shape": tuple(split.images.shape[1:]),
        }
        rows = {
            "augmentation": self.header.augment,
            "seed of the views": self.header.view_seed,
            "data": self.header.data,
            "image shape": self.header.image_shape or batches["image shape"],
        }
        differing = [
            f"{what} {rows[what]} in the cache, {batches[what]} in the batches"
            for what in batches
            if rows[what] != batches[what]
        ]
        if differing:
            raise ValueError(
                f"the rows of the cache {self.folder} are of other views than the batches show: "
                f"{'; '.join(differing)}. Give the batches the settings of the cache, or make "
                "another cache."
            )
        if most_views > self.views:
            raise ValueError(
                f"the batches show {most_views} views of each image, and {self.views} of the cache "
                f"{self.folder} are open. Give the batches fewer views, or make the others with "
                f"`kdk cache --views {most_views}`."
            )
        self._rows_of(split.ids)

    def __call__(self, ids: np.ndarray, view: int) -> dict[str, np.ndarray]:
        """The outputs for one view of examples.

        Args:
            ids: (B,) int, any order.
            view: 0 to views - 1.

        Returns:
            (B, …) float32 by output name.

        Raises:
            ValueError: an id or a view that has no row.
        """
        if not 0 <= view < self.views:
            raise ValueError(
                f"view is {view}, and the cache {self.folder} has views 0 to {self.views - 1} "
                f"open. Train with --views {self.views} or fewer."
            )
        rows = self._rows_of(ids)
        part_of, place = np.divmod(rows, self.header.rows_per_part)
        stored = {
            name: np.empty((len(ids), *shape), dtype)
            for name, (shape, dtype) in self.header.stored.items()
        }
        for part in np.unique(part_of):
            here = np.flatnonzero(part_of == part)
            for name, array in self._parts[view][part].items():
                stored[name][here] = array[place[here]]
        return encoding.decoded(stored, self.header)

    def _rows_of(self, ids: np.ndarray) -> np.ndarray:
        """(B,) int: the row of each id in a view. Raises ValueError for ids that have none."""
        rows = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        missing = np.unique(np.asarray(ids)[self.ids[rows] != ids])
        if len(missing):
            some = ", ".join(str(i) for i in missing[:3]) + (", …" if len(missing) > 3 else "")
            raise ValueError(
                f"the cache {self.folder} has no row for {len(missing):,} ids ({some}); it has "
                f"rows for {len(self.ids):,} ids, {self.ids[0]} to {self.ids[-1]}. Train on the "
                "images that the cache was made of, or make another cache."
            )
        return rows
