"""The size that images of several sizes are resized to, and notes about the effect."""

import statistics
from collections.abc import Sequence

LARGEST = 2048  # pixels a side that may be chosen: 12.6 MB for each image in the store
LARGEST_DEFAULT = 224  # pixels a side: what most published image classifiers take
LARGEST_KEPT = 512  # images of one size stay as they are up to here: 0.8 MB each in the store
_EFFECTS = {
    "crop": "their longer side is cropped around the centre",
    "pad": "black borders make them square",
    "squash": "their aspect ratio is changed",
}


def default_size(shapes: Sequence[tuple[int, int]]) -> tuple[int | None, list[str]]:
    """The default height and width in pixels, and a note that says why.

    Args:
        shapes: (height, width) of all images.

    Returns:
        None, which keeps the size of the images, if there are none or all have one size of at most
        `LARGEST_KEPT` pixels a side; else the median of their shorter sides, at most
        `LARGEST_DEFAULT`.
    """
    if not shapes:
        return None, []
    different = sorted(set(shapes), key=lambda shape: (shape[0] * shape[1], shape))
    if len(different) == 1 and max(different[0]) <= LARGEST_KEPT:
        return None, []
    median = int(statistics.median(map(min, shapes)))
    side = min(median, LARGEST_DEFAULT)
    smallest_size, largest_size = (
        f"{height}x{width}" for height, width in (different[0], different[-1])
    )
    sizes = (
        f"of {smallest_size}" if len(different) == 1 else f"from {smallest_size} to {largest_size}"
    )
    reason = "their median side" if side == median else f"their median side is {median}"
    return side, [
        f"images {sizes} pixels are resized to {side}x{side} ({reason}; see --image-size)"
    ]


def aspect(shapes: Sequence[tuple[int, int]], resize: str) -> list[str]:
    """A note on what `resize` does to images that are not square; no note if all are square.

    Args:
        shapes: (height, width) of all images, in pixels.
        resize: "crop", "pad" or "squash", see `resizing.resized`.
    """
    oblong = sum(height != width for height, width in shapes)
    if not oblong:
        return []
    return [
        f"{oblong:,} of {len(shapes):,} images are not square: {_EFFECTS[resize]} "
        f"(--resize {resize})"
    ]
