"""RandAugment: a few operations, drawn for each image from a list, at one magnitude."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from kd_keras import check
from kd_keras.data.augmentation.draws import Draws, purpose
from kd_keras.data.augmentation.step import Step

HIGHEST = 30  # magnitude
_RAND_AUGMENT = purpose("randaug")
_GREY = 128  # what comes in from outside of the image
_CHOICE_BITS = np.uint64(32)

#: Changes an image by a strength, -1 to 1; only the size of the strength counts where a mirrored
#: change has no meaning.
Operation = Callable[[Image.Image, float], Image.Image]


@dataclass(frozen=True)
class RandAugment(Step):
    """Applies `number` operations, each drawn from `OPERATIONS` with equal chances.

    Args:
        number: operations for each image, 1 to 10.
        magnitude: their strength, a whole number from 0 (weakest) to 30.

    Source: Cubuk et al. 2019, arXiv:1909.13719. The paper's magnitude 10 is 30 here, as in
    torchvision. Half of the rotations, shears, shifts and changes of colour go in the opposite
    direction. Pixels from outside are grey, and rotations and shears are bilinear.
    """

    NAME: ClassVar[str] = "rand_augment"
    number: int = 2
    magnitude: int = 9

    def __post_init__(self) -> None:
        check.whole_number("rand_augment: number", self.number, at_least=1, at_most=10)
        check.whole_number("rand_augment: magnitude", self.magnitude, at_most=HIGHEST)

    def draw(self, draws: Draws, height: int, width: int) -> Sequence[Any]:
        choices = []
        for number in range(self.number):
            bits = draws.bits(_RAND_AUGMENT, number)
            choice_bits = bits & ((np.uint64(1) << _CHOICE_BITS) - np.uint64(1))
            operation = (choice_bits * np.uint64(len(OPERATIONS)) >> _CHOICE_BITS).astype(int)
            sign = np.where(bits >> np.uint64(63), -1.0, 1.0)
            choices.append(list(zip(operation.tolist(), sign.tolist(), strict=True)))
        return list(zip(*choices, strict=True))

    def apply(self, image: Image.Image, change: Any) -> Image.Image:
        for operation, sign in change:
            image = _LIST[operation](image, sign * self.magnitude / HIGHEST)
        return image

    def describe(self) -> str:
        operations = f"{self.number} operation{'' if self.number == 1 else 's'}"
        return f"RandAugment with {operations} at magnitude {self.magnitude} of {HIGHEST}"


def _identity(image: Image.Image, strength: float) -> Image.Image:
    return image


def _affine(image: Image.Image, *matrix: float) -> Image.Image:
    fill = _GREY if image.mode == "L" else (_GREY,) * 3
    return image.transform(
        image.size,
        Image.Transform.AFFINE,
        matrix,
        resample=Image.Resampling.BILINEAR,
        fillcolor=fill,
    )


def _shear_x(image: Image.Image, strength: float) -> Image.Image:
    return _affine(image, 1, 0.3 * strength, 0, 0, 1, 0)


def _shear_y(image: Image.Image, strength: float) -> Image.Image:
    return _affine(image, 1, 0, 0, 0.3 * strength, 1, 0)


def _translate_x(image: Image.Image, strength: float) -> Image.Image:
    return _affine(image, 1, 0, int(150 / 331 * image.width * strength), 0, 1, 0)


def _translate_y(image: Image.Image, strength: float) -> Image.Image:
    return _affine(image, 1, 0, 0, 0, 1, int(150 / 331 * image.height * strength))


def _rotate(image: Image.Image, strength: float) -> Image.Image:
    fill = _GREY if image.mode == "L" else (_GREY,) * 3
    return image.rotate(30 * strength, resample=Image.Resampling.BILINEAR, fillcolor=fill)


def _brightness(image: Image.Image, strength: float) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(1 + 0.9 * strength)


def _color(image: Image.Image, strength: float) -> Image.Image:
    return ImageEnhance.Color(image).enhance(1 + 0.9 * strength)


def _contrast(image: Image.Image, strength: float) -> Image.Image:
    return ImageEnhance.Contrast(image).enhance(1 + 0.9 * strength)


def _sharpness(image: Image.Image, strength: float) -> Image.Image:
    return ImageEnhance.Sharpness(image).enhance(1 + 0.9 * strength)


def _posterize(image: Image.Image, strength: float) -> Image.Image:
    return ImageOps.posterize(image, 8 - round(4 * abs(strength)))


def _solarize(image: Image.Image, strength: float) -> Image.Image:
    return ImageOps.solarize(image, round(256 * (1 - abs(strength))))


def _autocontrast(image: Image.Image, strength: float) -> Image.Image:
    return ImageOps.autocontrast(image)


def _equalize(image: Image.Image, strength: float) -> Image.Image:
    return ImageOps.equalize(image)


#: The paper's list. Its order is part of the pixels of a view.
OPERATIONS: dict[str, Operation] = {
    "identity": _identity,
    "shear_x": _shear_x,
    "shear_y": _shear_y,
    "translate_x": _translate_x,
    "translate_y": _translate_y,
    "rotate": _rotate,
    "brightness": _brightness,
    "color": _color,
    "contrast": _contrast,
    "sharpness": _sharpness,
    "posterize": _posterize,
    "solarize": _solarize,
    "autocontrast": _autocontrast,
    "equalize": _equalize,
}
_LIST = list(OPERATIONS.values())
