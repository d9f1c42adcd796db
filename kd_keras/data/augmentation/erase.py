"""Random erasing: a box of the image is replaced by noise, or by black as in cutout."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from kd_keras.data import hashing
from kd_keras.data.augmentation.draws import Draws, purpose
from kd_keras.data.augmentation.step import Range, Step

_ERASE, _NOISE = purpose("erase"), purpose("noise")
_TRIES = 10  # of boxes that may stick out of the image; after them nothing is erased


@dataclass(frozen=True)
class Erase(Step):
    """Erases a box in a share of the images.

    Args:
        probability: share of the images that lose a box.
        area: share of the image's area, uniform, above 0 and at most 1.
        ratio: height / width of the box, log-uniform.
        fill: "noise", each value random, or "black".

    Source: Zhong et al. 2017, arXiv:1708.04896, algorithm 1; its upper area is 0.4 and its ratio
    uniform. Black squares (`ratio=1,fill=black`) are the cutout of DeVries and Taylor 2017,
    arXiv:1708.04552, without boxes that stick out of the image.
    """

    NAME: ClassVar[str] = "erase"
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"fill": ("noise", "black")}
    probability: float = 0.5
    area: Range = (0.02, 0.33)
    ratio: Range = (0.3, 3.3)
    fill: str = "noise"

    def __post_init__(self) -> None:
        self.require("probability", self.probability, at_least=0, at_most=1)
        self.require("area", self.area, above=0, at_most=1)
        self.require("ratio", self.ratio, at_least=0.01, at_most=100)
        self.require_choice("fill")

    def boxes(self, draws: Draws, height: int, width: int) -> np.ndarray:
        """(B, 4) int64: left, top, width and height of each image's box; 0 wide: none.

        Args:
            draws: the random numbers of the images.
            height: height of the images in pixels.
            width: width of the images in pixels.
        """
        size = np.zeros((len(draws.ids), 2), int)  # height and width
        pending_rows = np.flatnonzero(draws.happens(_ERASE, 0, self.probability))
        low, high = self.ratio
        for attempt in range(_TRIES):
            subset = draws.take(pending_rows)
            area = subset.uniform(_ERASE, 3 + 2 * attempt, *self.area) * (height * width)
            ratio = low * (high / low) ** subset.uniform(_ERASE, 4 + 2 * attempt)
            sides = np.rint(np.sqrt(np.stack([area * ratio, area / ratio], axis=1))).astype(int)
            is_inside = ((sides >= 1) & (sides <= (height, width))).all(axis=1)
            size[pending_rows[is_inside]] = sides[is_inside]
            pending_rows = pending_rows[~is_inside]
        top, left = (
            np.floor(draws.uniform(_ERASE, 1 + axis) * (side - size[:, axis] + 1))
            for axis, side in enumerate((height, width))
        )
        return np.stack([left, top, size[:, 1], size[:, 0]], axis=1).astype(int)

    def draw(self, draws: Draws, height: int, width: int) -> Sequence[Any]:
        boxes = self.boxes(draws, height, width).tolist()
        keys = draws.bits(_NOISE).tolist()
        return [(*box, key) if box[2] else None for box, key in zip(boxes, keys, strict=True)]

    def apply(self, image: Image.Image, change: Any) -> Image.Image:
        left, top, width, height, key = change
        channels = len(image.getbands())
        shape = (height, width) if channels == 1 else (height, width, channels)
        if self.fill == "black":
            pixels = np.zeros(shape, np.uint8)
        else:
            pixels = _noise(height * width * channels, key).reshape(shape)
        image.paste(Image.fromarray(pixels), (left, top))
        return image

    def describe(self) -> str:
        return f"a box erased with probability {self.probability:g}"


def _noise(num_bytes: int, key: int) -> np.ndarray:
    """(count,) uint8, uniform, a function of the key."""
    words = hashing.random_bits(np.arange(-(-num_bytes // 8)), _NOISE, key)
    return words.astype("<u8").view(np.uint8)[:num_bytes]
