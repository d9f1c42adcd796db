"""What a step of an augmentation is: it draws numbers for a batch and changes one image."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from PIL import Image

from kd_keras import check
from kd_keras.data.augmentation.draws import Draws

Range = tuple[float, float]


@dataclass(frozen=True)
class Step(ABC):
    """A step of a policy; a subclass is a frozen dataclass whose fields are its parameters.

    A field's default has the field's type: a whole number, a number, a text that is one of
    `CHOICES`, or a range (low, high).
    """

    #: Name in a policy's text.
    NAME: ClassVar[str]
    #: Allowed texts, by parameter.
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {}

    @abstractmethod
    def draw(self, draws: Draws, height: int, width: int) -> Sequence[Any]:
        """What happens to each image of a batch; one entry for each, None changes nothing.

        Args:
            draws: the random numbers of the images.
            height: height of the images in pixels.
            width: width of the images in pixels.
        """

    @abstractmethod
    def apply(self, image: Image.Image, change: Any) -> Image.Image:
        """The changed image, of the same size and mode ("L" or "RGB"); `change` is from `draw`."""

    @abstractmethod
    def describe(self) -> str:
        """The step in a few words."""

    def parameters(self) -> dict[str, Any]:
        """Value by parameter; a range is a tuple."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def require(self, name: str, value: Any, *, above: float | None = None, **bounds: Any) -> None:
        """Raises ValueError if a number, or one of a range, is out of the bounds of `check`.

        Args:
            name: name of the parameter.
            value: a number, or a range (low, high).
            above: exclusive lower bound; None: no bound.
        """
        numbers = value if isinstance(value, tuple) else (value,)
        for number in numbers:
            check.number(f"{self.NAME}: {name}", number, above=above, **bounds)
        if numbers[0] > numbers[-1]:
            raise ValueError(
                f"{self.NAME}: {name} is {numbers[0]:g}-{numbers[1]:g}; expected the lower number "
                f"first. Give {name}={numbers[1]:g}-{numbers[0]:g}."
            )

    def require_choice(self, name: str) -> None:
        """Raises ValueError if a text is none of `CHOICES`."""
        check.one_of(f"{self.NAME}: {name}", getattr(self, name), self.CHOICES[name])
