"""Steps that change colours: jitter, grey and blur."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from kd_keras.data.augmentation.draws import Draws, purpose
from kd_keras.data.augmentation.step import Range, Step

_JITTER, _GRAYSCALE, _BLUR = purpose("jitter"), purpose("grey"), purpose("blur")
_ENHANCERS = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


@dataclass(frozen=True)
class ColorJitter(Step):
    """Changes brightness, contrast, saturation and hue, in a random order.

    Args:
        brightness, contrast, saturation: each factor is uniform from 1 - x to 1 + x, 0 <= x <= 1.
        hue: the shift is uniform from -x to x, in turns of the colour circle, 0 <= x <= 0.5.
        probability: share of the images that are changed.

    Source: Chen et al. 2020, arXiv:2002.05709, appendix A. The hue has 256 values, as Pillow's.
    """

    NAME: ClassVar[str] = "color_jitter"
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    probability: float = 1.0

    def __post_init__(self) -> None:
        for name in ("brightness", "contrast", "saturation", "probability"):
            self.require(name, getattr(self, name), at_least=0, at_most=1)
        self.require("hue", self.hue, at_least=0, at_most=0.5)

    def draw(self, draws: Draws, height: int, width: int) -> Sequence[Any]:
        spans = (self.brightness, self.contrast, self.saturation, self.hue)
        centres = (1.0, 1.0, 1.0, 0.0)
        amounts = np.stack(
            [
                draws.uniform(_JITTER, operation, centre - span, centre + span)
                for operation, (centre, span) in enumerate(zip(centres, spans, strict=True))
            ],
            axis=1,
        )  # (B, 4)
        keys = np.stack([draws.uniform(_JITTER, 4 + operation) for operation in range(4)], axis=1)
        order = np.argsort(keys, axis=1, kind="stable")
        happens = draws.happens(_JITTER, 8, self.probability).tolist()
        used_operations = [operation for operation, span in enumerate(spans) if span]
        rows = zip(happens, order.tolist(), amounts.tolist(), strict=True)
        return [
            [
                (operation, amount[operation])
                for operation in operations
                if operation in used_operations
            ]
            if is_changed
            else None
            for is_changed, operations, amount in rows
        ]

    def apply(self, image: Image.Image, change: Any) -> Image.Image:
        for operation, amount in change:
            if operation < len(_ENHANCERS):
                image = _ENHANCERS[operation](image).enhance(amount)
            else:
                image = _with_hue(image, amount)
        return image

    def describe(self) -> str:
        return f"colours changed{_share(self.probability)}"


@dataclass(frozen=True)
class Grayscale(Step):
    """Makes a share of the images grey, with their number of channels kept."""

    NAME: ClassVar[str] = "grayscale"
    probability: float = 0.2

    def __post_init__(self) -> None:
        self.require("probability", self.probability, at_least=0, at_most=1)

    def draw(self, draws: Draws, height: int, width: int) -> Sequence[Any]:
        happens = draws.happens(_GRAYSCALE, 0, self.probability)
        return [True if is_grey else None for is_grey in happens.tolist()]

    def apply(self, image: Image.Image, change: Any) -> Image.Image:
        return image.convert("L").convert(image.mode)

    def describe(self) -> str:
        return f"grey{_share(self.probability)}"


@dataclass(frozen=True)
class Blur(Step):
    """Blurs a share of the images with a Gaussian.

    Args:
        sigma: its standard deviation in pixels, uniform.
        probability: share of the images that are blurred.

    Source: Chen et al. 2020, arXiv:2002.05709, appendix A. Pillow approximates the Gaussian by
    three boxes.
    """

    NAME: ClassVar[str] = "blur"
    sigma: Range = (0.1, 2.0)
    probability: float = 0.5

    def __post_init__(self) -> None:
        self.require("sigma", self.sigma, above=0, at_most=100)
        self.require("probability", self.probability, at_least=0, at_most=1)

    def draw(self, draws: Draws, height: int, width: int) -> Sequence[Any]:
        happens = draws.happens(_BLUR, 0, self.probability).tolist()
        sigmas = draws.uniform(_BLUR, 1, *self.sigma).tolist()
        return [s if is_blurred else None for is_blurred, s in zip(happens, sigmas, strict=True)]

    def apply(self, image: Image.Image, change: Any) -> Image.Image:
        return image.filter(ImageFilter.GaussianBlur(change))

    def describe(self) -> str:
        return f"blurred{_share(self.probability)}"


def _with_hue(image: Image.Image, turns: float) -> Image.Image:
    if image.mode != "RGB":
        return image
    shift = round(256 * turns)
    hue, saturation, value = image.convert("HSV").split()
    hue = hue.point([(level + shift) % 256 for level in range(256)])
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")


def _share(probability: float) -> str:
    return "" if probability == 1 else f" with probability {probability:g}"
