"""The pixels of a view: copies rows of a store into a batch and applies a policy's steps."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from kd_keras.data.augmentation.draws import Draws
from kd_keras.data.augmentation.geometry import Crop, Flip, ResizedCrop
from kd_keras.data.augmentation.policy import Policy
from kd_keras.data.augmentation.step import Step


def augment(
    images_source: np.ndarray,
    rows: np.ndarray,
    ids: np.ndarray,
    *,
    view_seed: int,
    view: int,
    policy: Policy,
    side: int | None = None,
) -> np.ndarray:
    """One view of each image, not mixed with others: a function of (view_seed, view, id).

    Args:
        images_source: (N, H, W, C) uint8, usually memory-mapped; only the needed pixels are read.
        rows: (B,) int, positions in `images_source`.
        ids: (B,) int, one for each image; the key of its randomness.
        view_seed: int, seed of every draw.
        view: int >= 0; each view of an image is a different one.
        policy: the augmentation; its mixing is left to `views.Views`.
        side: pixels a side of the result, to which the step `resized_crop` of the policy resizes;
            None keeps the size of the images.

    Returns:
        (B, H, W, C) uint8.
    """
    draws = Draws(ids, view_seed, view)
    crop, flip, other_steps = policy.moves
    batch = _move_images(images_source, rows, draws, crop, flip)
    return _apply_steps(batch, draws, other_steps, side) if other_steps else batch


def require_fitting(policy: Policy, image_shape: Sequence[int], side: int | None = None) -> None:
    """Raises ValueError if images of a shape (H, W, C) cannot pass the policy's steps.

    `side` is that of `augment`.

    Args:
        policy: the augmentation.
        image_shape: (H, W, C) of the stored images.
        side: pixels a side that `augment` resizes to; None keeps the size.
    """
    if side is not None and not policy.resizes:
        raise ValueError(
            f"images are stored at {image_shape[0]}x{image_shape[1]} pixels and trained at "
            f"{side}x{side}, and the augmentation has no step resized_crop; expected it. Leave "
            "--store-size out, or give --augment standard."
        )
    height, width, channels = image_shape
    if policy.crop_padding >= min(height, width):
        raise ValueError(
            f"crop_padding is {policy.crop_padding}; expected a finite number <= "
            f"{min(height, width) - 1}, less than the side of the images."
        )
    if policy.moves[2] and channels not in (1, 3):
        raise ValueError(
            f"images have {channels} channels, and the augmentation has the step "
            f"{policy.moves[2][0].NAME}; expected 1 or 3 channels. Give --augment light."
        )


def _move_images(
    images_source: np.ndarray, rows: np.ndarray, draws: Draws, crop: Crop | None, flip: Flip | None
) -> np.ndarray:
    """The images, moved and mirrored: a copy.

    Args:
        images_source: (N, H, W, C) uint8 images of the split.
        rows: (B,) int, the images to take.
        draws: the random numbers of these images.
        crop: the padded crop; None: no crop.
        flip: the mirroring; None: no mirroring.
    """
    if crop is None and flip is None:
        copies: np.ndarray = np.asarray(images_source)[rows]
        return copies
    pixels = _whole_pixels(np.asarray(images_source))  # without np.memmap's slow slicing
    height, width = pixels.shape[1:]
    batch = np.zeros((len(rows), *images_source.shape[1:]), np.uint8)
    no_offsets = [0] * len(rows)
    down, right = (
        (axis.tolist() for axis in crop.offsets(draws)) if crop else (no_offsets, no_offsets)
    )
    mirror_flags = flip.mirrored(draws).tolist() if flip else no_offsets
    # This loop of slices makes 150,000 images a second at 64x64x3 on one core; a vectorised gather
    # of pixels makes 20,000, and padding the whole batch first 42,000.
    for image, row, y, x, is_mirrored in zip(
        _whole_pixels(batch), rows.tolist(), down, right, mirror_flags, strict=True
    ):
        image = image[:, ::-1] if is_mirrored else image
        image[max(-y, 0) : height - max(y, 0), max(-x, 0) : width - max(x, 0)] = pixels[
            row, max(y, 0) : height + min(y, 0), max(x, 0) : width + min(x, 0)
        ]
    return batch


def _whole_pixels(images: np.ndarray) -> np.ndarray:
    """(N, H, W, C) uint8 viewed as (N, H, W) of C bytes: mirroring then keeps pixels whole."""
    return images.view(f"V{images.shape[-1]}")[..., 0]


def _apply_steps(
    batch: np.ndarray, draws: Draws, steps: Sequence[Step], side: int | None
) -> np.ndarray:
    """The batch after the steps; the same array if its images keep their size.

    Args:
        batch: (B, H, W, C) uint8.
        draws: the random numbers of the images.
        steps: the steps, in order.
        side: height and width of the result in pixels; None: those of `batch`.
    """
    num_images, height, width, channels = batch.shape
    result = batch if side is None else np.empty((num_images, side, side, channels), np.uint8)
    changes: list[Callable[..., Image.Image]] = []
    choices_of_steps: list[Sequence[Any]] = []
    for step in steps:
        choices_of_steps.append(step.draw(draws, height, width))
        if side is not None and isinstance(step, ResizedCrop):
            height = width = side
            changes.append(functools.partial(step.apply, side=side))
        else:
            changes.append(step.apply)
    sources, targets = (a[..., 0] if channels == 1 else a for a in (batch, result))
    for row, choices in enumerate(zip(*choices_of_steps, strict=True)):
        image = Image.fromarray(sources[row])
        for change, choice in zip(changes, choices, strict=True):
            if choice is not None:
                image = change(image, choice)
        targets[row] = np.asarray(image)
    return result
