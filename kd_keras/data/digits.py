"""scikit-learn's handwritten digits: 1,797 grey images of 8x8 in 10 classes; no download."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kd_keras import check
from kd_keras.data.progress import Progress
from kd_keras.data.stores.make_store import Source
from kd_keras.data.stores.store_writer import Contents, SplitContents

_SIDE = 8
_BATCH_PIXELS = 20_000_000


def source(*, image_size: int | None, resize: str | None) -> Source:
    """The digits, 8x8 or a multiple of it; never mirrored, since most would not be digits.

    Raises:
        ValueError: `image_size` is not a multiple of 8.
    """
    side = check.whole_number("image_size", image_size or _SIDE, at_least=_SIDE)
    if side % _SIDE:
        raise ValueError(
            f"image_size is {side}; expected a multiple of {_SIDE} for the digits, "
            f"such as {side // _SIDE * _SIDE}."
        )
    return Source(
        name="digits",
        kind="digits",
        settings={"image_size": side},
        state="embedded",
        flip=False,
        val_fraction=0.2,
        contents=lambda folder, progress: _contents(folder, progress, times=side // _SIDE),
        resize=resize or "crop",
    )


def _contents(folder: Path, progress: Progress, *, times: int) -> Contents:
    from sklearn import datasets  # takes seconds to import, and is needed only once

    intensities, labels = datasets.load_digits(return_X_y=True)  # (1797, 64) of 0..16
    images = np.rint(intensities.reshape(-1, _SIDE, _SIDE, 1) * (255 / 16)).astype(np.uint8)
    return Contents(
        class_names=[str(digit) for digit in range(10)],
        splits={"train": SplitContents(len(labels), _enlarged_batches(images, labels, times))},
    )


def _enlarged_batches(
    images: np.ndarray, labels: np.ndarray, times: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of the images, each pixel repeated `times` in both directions.

    Args:
        images: (N, 8, 8, 1) uint8.
        labels: (N,) int.
        times: factor of height and width, >= 1.
    """
    images_per_batch = max(1, _BATCH_PIXELS // (_SIDE * times) ** 2)
    for start in range(0, len(labels), images_per_batch):
        rows = slice(start, start + images_per_batch)
        yield images[rows].repeat(times, axis=1).repeat(times, axis=2), labels[rows]
