"""A grid of images in one picture, each with its name below."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

SMALLEST_SIDE = 72  # pixels; smaller images are enlarged, so that their names fit
_FONT_SIZE = 12
_LINE = 16  # pixels below an image for each line of its name
_GAP = 4
_WHITE, _BLACK = 255, 0


def grid(
    images: np.ndarray,
    names: Sequence[str],
    *,
    smallest_side: int = SMALLEST_SIDE,
    columns: int | None = None,
) -> np.ndarray:
    """Puts images and their names into a grid, row by row.

    Args:
        images: uint8 (N, H, W, C), N at least 1, C 1 or 3. Small images are enlarged by a whole
            number, so that no pixel value changes.
        names: (N,) names of the images, of one line or more; a line that is too long ends in "…".
        smallest_side: pixels; smaller images are enlarged to this or more.
        columns: images in a row; None makes the grid nearly square.

    Returns:
        uint8 (height, width, 3) with a white background.
    """
    from PIL import Image, ImageDraw

    num_images, height, width, _ = images.shape
    scale = max(1, math.ceil(smallest_side / min(height, width)))
    columns = columns or math.ceil(math.sqrt(num_images))
    lines = 1 + max(name.count("\n") for name in names)
    step_x, step_y = width * scale + _GAP, height * scale + lines * _LINE + _GAP
    size = (columns * step_x - _GAP, math.ceil(num_images / columns) * step_y - _GAP)
    picture = Image.new("RGB", size, (_WHITE,) * 3)
    draw, font = ImageDraw.Draw(picture), _font()
    for index, (image, name) in enumerate(zip(images, names, strict=True)):
        x, y = index % columns * step_x, index // columns * step_y
        colors = np.broadcast_to(image, (height, width, 3))
        pixels = np.repeat(np.repeat(colors, scale, axis=0), scale, axis=1)
        picture.paste(Image.fromarray(pixels), (x, y))
        for line, text in enumerate(name.split("\n")):
            corner = (x, y + height * scale + line * _LINE)
            draw.text(corner, _fit_text(text, width * scale, font), fill=(_BLACK,) * 3, font=font)
    return np.asarray(picture)


def _font() -> Any:
    """Matplotlib's font, which has more alphabets than Pillow's."""
    import matplotlib
    from PIL import ImageFont

    path = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    return ImageFont.truetype(str(path), _FONT_SIZE)


def _fit_text(name: str, width: int, font: Any) -> str:
    """The name, shortened with an ellipsis if it is too wide."""
    if font.getlength(name) <= width:
        return name
    start = name
    while start and font.getlength(f"{start}…") > width:
        start = start[:-1]
    return f"{start}…"
