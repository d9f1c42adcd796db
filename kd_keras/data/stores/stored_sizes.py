"""The size that images are stored at, where training cuts parts out of larger images."""

import math
from dataclasses import replace

from kd_keras import check
from kd_keras.data.images import sizes
from kd_keras.data.stores.store import Dataset, Split

TRAINED_SHARE = 0.875  # default side of a training image, as a share of the stored one
_RESIZED = ("folder:", "tfds:")  # datasets whose files may be larger than training images


def stored_size(
    dataset: str, *, image_size: int | None, store_size: int | None, crop: float, resizes: bool
) -> int | None:
    """Pixels a side of the stored images, if they are larger than training images; else None.

    Args:
        dataset: its name.
        image_size: pixels a side of training images; None: the dataset's own.
        store_size: pixels a side; None is `image_size` / 0.875 where an `image_size` is chosen for
            images in files, and `resizes`.
        crop: share of a stored image's side that evaluation uses.
        resizes: whether the augmentation cuts out parts and resizes them.

    Raises:
        ValueError: sizes that do not fit together.
    """
    check.number("eval_crop", crop, above=0, at_most=1)
    if store_size is None:
        stores_larger = resizes and image_size and dataset.startswith(_RESIZED)
        store_size = (
            min(round((image_size or 0) / TRAINED_SHARE), sizes.LARGEST)
            if stores_larger
            else image_size
        )
    elif image_size is None or store_size < image_size:
        raise ValueError(
            f"store_size is {store_size} and image_size is {image_size or 'not chosen'}; expected "
            "an image_size, and a store_size at least as large. Give both, such as --image-size "
            "224 --store-size 256."
        )
    if store_size != image_size:
        if not resizes:
            raise ValueError(
                f"store_size is {store_size}, and the augmentation has no step resized_crop, which "
                "alone uses larger images; expected one. Give --augment standard, or leave "
                "--store-size out."
            )
        return store_size
    if crop != 1:
        raise ValueError(
            f"eval_crop is {crop:g}, and images are stored at the size of training; expected 1. "
            "Give a larger --store-size, or leave --eval-crop out."
        )
    return None


def trained_at(dataset: Dataset, side: int, crop: float) -> Dataset:
    """A dataset of larger stored images, as one of images of `side` pixels a side.

    `crop` is the share of a stored image's side that evaluation uses. A note says what the larger
    images cost.

    Args:
        dataset: the dataset, whose images are stored larger than `side`.
        side: pixels a side of the images that models take.
        crop: share of a stored image's side that evaluation uses, above 0 and at most 1.
    """

    def resized_split(split: Split) -> Split:
        return replace(split, side=side, crop=crop)

    height, width, channels = dataset.image_shape
    stored_images = {id(s.images): s.images for s in _splits(dataset)}.values()
    num_images = sum(len(images) for images in stored_images)
    shapes = (dataset.image_shape, (side, side, channels))
    megabytes = [num_images * math.prod(shape) / 1e6 for shape in shapes]
    note = (
        f"images are stored at {height}x{width} pixels, from which training cuts its {side}x{side} "
        f"pixels: {megabytes[0]:,.1f} MB on disk instead of {megabytes[1]:,.1f} MB (--store-size)"
    )
    return replace(
        dataset,
        train=resized_split(dataset.train),
        validation=resized_split(dataset.validation),
        test=None if dataset.test is None else resized_split(dataset.test),
        image_shape=(side, side, channels),
        fingerprint=f"{dataset.fingerprint}-side{side}.{crop:g}",
        notes=(*dataset.notes, note),
    )


def _splits(dataset: Dataset) -> list[Split]:
    return [s for s in (dataset.train, dataset.validation, dataset.test) if s is not None]
