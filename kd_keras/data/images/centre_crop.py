"""Evaluation images of a store whose images are larger than those that models take."""

import numpy as np
from PIL import Image


def centre_crops(images: np.ndarray, *, side: int, share: float) -> np.ndarray:
    """Cuts out the middle of each image and resizes it, bilinear and antialiased.

    Args:
        images: (N, H, W, C) uint8, C 1 or 3.
        side: pixels a side of the result.
        share: side of what is cut out, as a share of the image's side, above 0 and at most 1. It is
            rounded to whole pixels; if these are `side`, nothing is resized.

    Returns:
        (N, side, side, C) uint8.
    """
    num_images, height, width, channels = images.shape
    crop_height, crop_width = (max(1, round(share * size)) for size in (height, width))
    top, left = (height - crop_height) // 2, (width - crop_width) // 2
    middles = images[:, top : top + crop_height, left : left + crop_width]
    if (crop_height, crop_width) == (side, side):
        return middles
    result = np.empty((num_images, side, side, channels), np.uint8)
    for row, middle in enumerate(np.ascontiguousarray(middles)):
        image = Image.fromarray(middle[..., 0] if channels == 1 else middle)
        resized_image = np.asarray(image.resize((side, side), Image.Resampling.BILINEAR))
        result[row] = resized_image.reshape(side, side, channels)
    return result
