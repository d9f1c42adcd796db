"""Reads a cache: for each example and view in a batch, the teacher's outputs for that view."""

import contextlib
import hashlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras.data import augmentation
from kd_keras.data.augmentation import Policy
from kd_keras.data.stores.store import Split
from kd_keras.data.views import view_settings
from kd_keras.teacher_cache import encoding, file_format, part_files
from kd_keras.teacher_cache.file_format import Header


class Cache:
    """A finished teacher cache. The parts of the opened views are checked and memory-mapped.

    Args:
        folder: folder of the cache.
        views: number of views to open; None opens all.

    Raises:
        FileNotFoundError: the folder holds no cache.
        ValueError: it has too few views, an unfinished or damaged part, or a newer format.
    """

    def __init__(self, folder: Path, *, views: int | None = None):
        self.folder = folder
        self.header: Header = file_format.read_header(folder)
        self.views = self.header.views if views is None else views
        if self.views > self.header.views:
            raise ValueError(
                f"the cache {folder} has {self.header.views} views of each image; expected "
                f"{self.views}. Add the missing views with `kdk cache --views {self.views}`."
            )
        self.ids = file_format.read_ids(folder, self.header)
        self._parts = [
            [part_files.read_part(folder, self.header, v, p) for p in range(self.header.parts)]
            for v in range(self.views)
        ]

    @property
    def fingerprint(self) -> str:
        """16 hex digits, a hash of the rows of the opened views."""
        parts = [part_files.part_hashes(self.folder, v, p) for v, p in self._view_parts()]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    def _view_parts(self) -> Iterator[tuple[int, int]]:
        return itertools.product(range(self.views), range(self.header.parts))

    @property
    def shapes(self) -> dict[str, tuple[Any, ...]]:
        """Shape of each output, batch axis as None."""
        return {name: (None, *shape) for name, shape in self.header.outputs.items()}

    def require(self, expected: Header, ids: np.ndarray) -> None:
        """Raises ValueError unless the cache has the rows that `expected` describes, for `ids`."""
        different_facts = file_format.differences(self.header, expected)
        if different_facts:
            raise ValueError(
                f"the cache {self.folder} was made with a different "
                f"{' and a different '.join(different_facts)} than this run. Use the settings of "
                f"the cache{self._options(expected)}, or make another cache."
            )
        missing_outputs = sorted(set(expected.outputs) - set(self.header.outputs))
        if missing_outputs:
            options = " ".join(f"--taps {name}" for name in missing_outputs)
            remedy = f"Make it again with {options}."
            if file_format.LOGITS in missing_outputs:
                remedy = (
                    "Choose methods that need no logits, such as embed, or give another teacher."
                )
            raise ValueError(
                f"the cache {self.folder} holds {sorted(self.header.outputs)} of the teacher; "
                f"expected {missing_outputs} too. {remedy}"
            )
        self._require_same_ids(ids)
        missing_ids = np.setdiff1d(ids, self.ids)
        if len(missing_ids):
            raise ValueError(
                f"the cache {self.folder} has no rows for {len(missing_ids):,} of the "
                f"{len(ids):,} training images; expected all. Make it from this dataset."
            )

    def require_batches(
        self, split: Split, *, policy: Policy, view_seed: int, most_views: int
    ) -> None:
        """Raises ValueError unless the cache has a row for every view in the batches.

        Args:
            split: examples that the batches are drawn from.
            policy: augmentation of the batches.
            view_seed: seed of the augmentation.
            most_views: number of views of an image in the batches, numbered 0 to most_views - 1.
        """
        batch_facts = {
            "augmentation": view_settings(split, policy),
            "view seed": view_seed,
            "dataset": split.fingerprint or self.header.data,
            "image shape": split.image_shape,
        }
        cache_facts = {
            "augmentation": self.header.augment,
            "view seed": self.header.view_seed,
            "dataset": self.header.data,
            "image shape": self.header.image_shape or batch_facts["image shape"],
        }
        different_facts = [
            f"{name} {cache_facts[name]} in the cache, {batch_facts[name]} in the batches"
            for name in batch_facts
            if cache_facts[name] != batch_facts[name]
        ]
        if different_facts:
            raise ValueError(
                f"the cache {self.folder} and the batches have different views: "
                f"{'; '.join(different_facts)}. Use the settings of the cache for the batches, or "
                "make another cache."
            )
        if most_views > self.views:
            raise ValueError(
                f"the batches show {most_views} views of each image, and {self.views} of the cache "
                f"{self.folder} are open. Use fewer views, or add the missing ones with "
                f"`kdk cache --views {most_views}`."
            )
        self._rows_of(split.ids)
        self._require_same_ids(split.ids)

    def __call__(self, ids: np.ndarray, view: int) -> dict[str, np.ndarray]:
        """The teacher's outputs for one view of each example.

        Args:
            ids: (B,) int, ids of the examples in any order.
            view: number of the view, 0 to views - 1.

        Returns:
            (B, …) float32 by output name.

        Raises:
            ValueError: an id or the view has no row.
        """
        if not 0 <= view < self.views:
            raise ValueError(
                f"view is {view}, and the cache {self.folder} has views 0 to {self.views - 1} "
                f"open. Train with --views {self.views} or fewer."
            )
        rows = self._rows_of(ids)
        part_of_row, row_in_part = np.divmod(rows, self.header.rows_per_part)
        arrays = {
            name: np.empty((len(ids), *shape), dtype)
            for name, (shape, dtype) in self.header.stored.items()
        }
        for part in np.unique(part_of_row):
            positions = np.flatnonzero(part_of_row == part)
            for name, array in self._parts[view][part].items():
                arrays[name][positions] = array[row_in_part[positions]]
        return encoding.decode(arrays, self.header)

    def _options(self, expected: Header) -> str:
        """The options that give the augmentation of the cache, if it is another one."""
        with contextlib.suppress(ValueError):  # of another version, or by another program
            if self.header.augment != expected.augment:
                return f" ({augmentation.from_json(self.header.augment).options()})"
        return ""

    def _require_same_ids(self, ids: np.ndarray) -> None:
        """Raises ValueError if images are mixed with images that the cache does not know."""
        mixes = self.header.augment.get("mixup") or self.header.augment.get("cutmix")
        if mixes and not np.array_equal(np.sort(ids), self.ids):
            raise ValueError(
                f"the cache {self.folder} mixes its {len(self.ids):,} images with each other, and "
                f"these {len(ids):,} training images are not the same; expected the same, which "
                "make the same pairs. Make another cache from them."
            )

    def _rows_of(self, ids: np.ndarray) -> np.ndarray:
        """(B,) int: the row of each id in a view. Raises ValueError for ids without a row."""
        rows = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        missing_ids = np.unique(np.asarray(ids)[self.ids[rows] != ids])
        if len(missing_ids):
            more = ", …" if len(missing_ids) > 3 else ""
            examples = ", ".join(map(str, missing_ids[:3])) + more
            raise ValueError(
                f"the cache {self.folder} has no row for {len(missing_ids):,} ids ({examples}); it "
                f"has rows for {len(self.ids):,} ids, {self.ids[0]} to {self.ids[-1]}. Train on "
                "the images that the cache was made from, or make another cache."
            )
        return rows
