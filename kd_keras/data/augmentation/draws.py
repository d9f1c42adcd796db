"""Random numbers for the steps of an augmentation: a pure function of (view seed, view, id)."""

from dataclasses import dataclass, replace

import numpy as np

from kd_keras.data import hashing

_WHOLE = 2.0**-53  # the spacing of uniform numbers, which float64 holds exactly


def purpose(word: str) -> int:
    """A number that keeps the draws of one step apart from those of others; up to 8 letters."""
    return int.from_bytes(word.encode(), "big")


@dataclass(frozen=True)
class Draws:
    """Random numbers of one view of each image.

    What a step draws does not depend on the steps around it: `flip` mirrors the same images under
    every policy.

    Attributes:
        ids: (B,) int, one for each image.
        view_seed: int >= 0.
        view: int >= 0.
    """

    ids: np.ndarray
    view_seed: int
    view: int

    def bits(self, purpose: int, *number: int) -> np.ndarray:
        """(B,) uint64, 64 random bits for each image.

        Args:
            purpose: number of the step, from `purpose`.
            number: which of the step's draws; none for a step with one draw.
        """
        return hashing.random_bits(self.ids, purpose, self.view_seed, self.view, *number)

    def uniform(self, purpose: int, number: int, low: float = 0.0, high: float = 1.0) -> np.ndarray:
        """(B,) float64, uniform from `low` to `high`; `high` itself is left out.

        Args:
            purpose: number of the step, from `purpose`.
            number: which of the step's draws.
            low: lower bound.
            high: upper bound.
        """
        fraction = (self.bits(purpose, number) >> np.uint64(11)).astype(np.float64) * _WHOLE
        return low + (high - low) * fraction

    def happens(self, purpose: int, number: int, probability: float) -> np.ndarray:
        """(B,) bool: whether an event of this probability happens to each image.

        Args:
            purpose: number of the step, from `purpose`.
            number: which of the step's draws.
            probability: 0 to 1.
        """
        return self.uniform(purpose, number) < probability

    def take(self, positions: np.ndarray) -> "Draws":
        """The draws of some of the images; `positions` is (n,) int or (B,) bool."""
        return replace(self, ids=self.ids[positions])
