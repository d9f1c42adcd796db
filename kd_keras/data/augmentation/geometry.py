"""Steps that move pixels: padded crops, mirroring, and crops that are resized."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from kd_keras import check
from kd_keras.data.augmentation.draws import Draws, purpose
from kd_keras.data.augmentation.step import Range, Step

_VIEW = purpose("view")  # crops and mirroring share 64 bits
_RESIZED = purpose("rescrop")
_AXIS_BITS = np.uint64(20)  # for each axis: offsets are equally likely to within 1e-4
_TRIES = 10  # of crops that may stick out of the image, before the largest one is taken
_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


@dataclass(frozen=True)
class Crop(Step):
    """Moves the image by up to `padding` pixels along each axis; what comes in is black.

    A padding of None is the dataset's own, an eighth of the image's side.
    """

    NAME: ClassVar[str] = "crop"
    padding: int | None = None

    def __post_init__(self) -> None:
        if self.padding is not None:
            check.whole_number("crop_padding", self.padding)

    def offsets(self, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
        """Two (B,) int64: pixels down and to the right, -padding to padding, equally likely."""
        bits, padding = draws.bits(_VIEW), int(self.padding or 0)
        num_offsets = np.uint64(2 * padding + 1)
        axis_mask = (np.uint64(1) << _AXIS_BITS) - np.uint64(1)
        down = (bits & axis_mask) * num_offsets >> _AXIS_BITS
        right = (bits >> _AXIS_BITS & axis_mask) * num_offsets >> _AXIS_BITS
        return down.astype(np.int64) - padding, right.astype(np.int64) - padding

    def draw(self, draws: Draws, height: int, width: int) -> Sequence[Any]:
        down, right = self.offsets(draws)
        return list(zip(down.tolist(), right.tolist(), strict=True))

    def apply(self, image: Image.Image, change: Any) -> Image.Image:
        down, right = change
        return image.crop((right, down, right + image.width, down + image.height))

    def describe(self) -> str:
        pixels = f"{self.padding} pixel{'' if self.padding == 1 else 's'}"
        return f"crops padded by {pixels}" if self.padding else "no crops"


@dataclass(frozen=True)
class Flip(Step):
    """Mirrors half of the images, left to right."""

    NAME: ClassVar[str] = "flip"

    def mirrored(self, draws: Draws) -> np.ndarray:
        """(B,) bool."""
        return (draws.bits(_VIEW) >> np.uint64(63)).astype(bool)

    def draw(self, draws: Draws, height: int, width: int) -> Sequence[Any]:
        return [True if is_mirrored else None for is_mirrored in self.mirrored(draws).tolist()]

    def apply(self, image: Image.Image, change: Any) -> Image.Image:
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)

    def describe(self) -> str:
        return "mirrored at random"


@dataclass(frozen=True)
class ResizedCrop(Step):
    """Cuts out a part of random area and aspect ratio, and resizes it to the image's size.

    Args:
        scale: share of the image's area, uniform, above 0 and at most 1.
        ratio: width / height of the part, log-uniform.
        interpolation: how to resize; always antialiased.

    Source: Szegedy et al. 2014, arXiv:1409.4842, section 6. A part that sticks out of the image is
    drawn again, up to ten times; then the largest middle part with a ratio in range is taken.
    """

    NAME: ClassVar[str] = "resized_crop"
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"interpolation": tuple(_FILTERS)}
    scale: Range = (0.08, 1.0)
    ratio: Range = (0.75, 4 / 3)
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        self.require("scale", self.scale, above=0, at_most=1)
        self.require("ratio", self.ratio, at_least=0.01, at_most=100)
        self.require_choice("interpolation")

    def boxes(self, draws: Draws, height: int, width: int) -> np.ndarray:
        """(B, 4) int64: left, top, right and bottom of each image's part, in pixels.

        Args:
            draws: the random numbers of the images.
            height: height of the images in pixels.
            width: width of the images in pixels.
        """
        size = np.tile(np.array(self._largest(height, width)), (len(draws.ids), 1))  # (B, 2)
        pending_rows = np.arange(len(draws.ids))
        low, high = self.ratio
        for attempt in range(_TRIES):
            subset = draws.take(pending_rows)
            area = subset.uniform(_RESIZED, 2 * attempt, *self.scale) * (height * width)
            ratio = low * (high / low) ** subset.uniform(_RESIZED, 2 * attempt + 1)
            sides = np.rint(np.sqrt(np.stack([area / ratio, area * ratio], axis=1))).astype(int)
            is_inside = ((sides >= 1) & (sides <= (height, width))).all(axis=1)
            size[pending_rows[is_inside]] = sides[is_inside]
            pending_rows = pending_rows[~is_inside]
            if not len(pending_rows):
                break
        top, left = (
            np.floor(draws.uniform(_RESIZED, 2 * _TRIES + axis) * (side - size[:, axis] + 1))
            for axis, side in enumerate((height, width))
        )
        middle = (np.array((height, width)) - size) // 2
        top[pending_rows], left[pending_rows] = middle[pending_rows].T
        return np.stack([left, top, left + size[:, 1], top + size[:, 0]], axis=1).astype(int)

    def _largest(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the largest part whose ratio is in range."""
        ratio = min(max(width / height, self.ratio[0]), self.ratio[1])
        return max(1, min(height, round(width / ratio))), max(1, min(width, round(height * ratio)))

    def draw(self, draws: Draws, height: int, width: int) -> Sequence[Any]:
        return [tuple(box) for box in self.boxes(draws, height, width).tolist()]

    def apply(self, image: Image.Image, change: Any, side: int | None = None) -> Image.Image:
        """The part `change`, resized to the image's size, or to `side` pixels a side.

        Args:
            image: the image, of mode L or RGB.
            change: left, top, right and bottom of the part, in pixels.
            side: height and width of the result in pixels; None: those of `image`.
        """
        size = image.size if side is None else (side, side)
        return image.resize(size, _FILTERS[self.interpolation], box=change)

    def describe(self) -> str:
        low, high = self.scale
        return f"crops of {100 * low:g}-{100 * high:g} % of the area, resized"
