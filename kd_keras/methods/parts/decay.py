"""Factors that fall over a run."""

import math
from typing import Any

from keras import ops

from kd_keras.tensor_types import Tensor


def cosine(progress: Any, start: float) -> Tensor:
    """Factor that is 1 up to `start` and then falls to 0 at the run's end like a cosine.

    Args:
        progress: share of the run that is done, 0 to 1, scalar.
        start: share at which it begins to fall; with 1 it never falls.
    """
    if start == 1:
        return ops.ones(())
    progress = ops.cast(progress, "float32")
    falling = (1 + ops.cos(math.pi * (progress - start) / (1 - start))) / 2
    return ops.where(progress < start, 1.0, falling)
