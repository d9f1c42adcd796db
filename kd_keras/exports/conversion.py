"""Runs another project's converter: hides what it prints and shortens its error to one line."""

import contextlib
import re
from collections.abc import Iterator

import numpy as np

from kd_keras.exports import silence

_LONGEST = 300  # characters of an error
_NOISE = re.compile(r"loc\(.*\): |<unknown>:0: |error: ")


@contextlib.contextmanager
def quiet_conversion(name: str, target: str) -> Iterator[None]:
    """Hides lines, warnings and logs of the block; its errors become a ValueError with the reason.

    Args:
        name: the model's name.
        target: what it is converted to, such as "LiteRT".

    Raises:
        ValueError: the block failed.
        OSError, MemoryError: as the block raised them, such as for a full disk.
    """
    try:
        with silence.silent():
            yield
    except (OSError, MemoryError):
        raise
    except Exception as error:  # each converter has its own kinds
        raise ValueError(
            f"model {name!r} cannot be converted to {target} ({_reason(error)}); expected layers "
            f"that {target} has operations for. Replace the layer, or choose another format."
        ) from error


def require_calibration(images: np.ndarray | None) -> np.ndarray:
    """The images that set the ranges of an "int8" file; raises ValueError if there are none."""
    if images is None or not len(images):
        raise ValueError(
            "quantize is int8 and calibration is empty; expected uint8 images (N, H, W, C). Give "
            "training images, or choose float16."
        )
    return images


def _reason(error: Exception) -> str:
    """The first line of the error that says something."""
    lines = [_NOISE.sub("", line).strip() for line in str(error).splitlines()]
    text = next(filter(None, lines), type(error).__name__).rstrip(".")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
