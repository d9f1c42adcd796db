"""Many images in one picture, each with its name under it."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

SMALLEST_SIDE = 72  # pixels an image is enlarged to, so that its name can be read
_FONT_SIZE = 12
_LINE = 16  # pixels under an image, for its name
_GAP = 4
_WHITE, _BLACK = 255, 0


def grid(images: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Lays images out row by row, about as many rows as columns, with their names.

    Args:
        images: uint8 (N, H, W, C), N at least 1, C 1 or 3; small ones are enlarged by a whole
            number, so that every pixel stays what it is.
        names: one an image; a name that is too long ends in "…".

    Returns:
        uint8 (height, width, 3), white where nothing is.
    """
    from PIL import Image, ImageDraw

    count, height, width, _ = images.shape
    scale = max(1, math.ceil(SMALLEST_SIDE / min(height, width)))
    columns = math.ceil(math.sqrt(count))
    step_x, step_y = width * scale + _GAP, height * scale + _LINE + _GAP
    size = (columns * step_x - _GAP, math.ceil(count / columns) * step_y - _GAP)
    picture = Image.new("RGB", size, (_WHITE,) * 3)
    draw, font = ImageDraw.Draw(picture), _font()
    for place, (image, name) in enumerate(zip(images, names, strict=True)):
        x, y = place % columns * step_x, place // columns * step_y
        colors = np.broadcast_to(image, (height, width, 3))
        enlarged = np.repeat(np.repeat(colors, scale, axis=0), scale, axis=1)
        picture.paste(Image.fromarray(enlarged), (x, y))
        text = _fitting(name, width * scale, font)
        draw.text((x, y + height * scale), text, fill=(_BLACK,) * 3, font=font)
    return np.asarray(picture)


def _font() -> Any:
    """Matplotlib's own, which has more alphabets than Pillow's."""
    import matplotlib
    from PIL import ImageFont

    path = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    return ImageFont.truetype(str(path), _FONT_SIZE)


def _fitting(name: str, width: int, font: Any) -> str:
    """The name, or as much of its beginning as fits with an ellipsis."""
    if font.getlength(name) <= width:
        return name
    kept = name
    while kept and font.getlength(f"{kept}…") > width:
        kept = kept[:-1]
    return f"{kept}…"
