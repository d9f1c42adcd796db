"""A picture of what the augmentation does: images above, several of their views below."""

from pathlib import Path

import numpy as np
from PIL import Image

from kd_keras import files
from kd_keras.data.stores.store import UNKNOWN, Dataset
from kd_keras.data.views import Views
from kd_keras.results.plots import pictures

FILE = "augmentation.png"  # in a run folder
_VIEWS = 4  # rows below the images
_MAX_COLUMNS, _WIDTH = 8, 1800  # pixels: large images get fewer columns


def picture(data: Dataset, *, view_seed: int) -> np.ndarray:
    """Draws some training images, and their first four views below each.

    Args:
        data: the dataset with its augmentation.
        view_seed: seed of the augmentation.

    Returns:
        uint8 (height, width, 3). The images are spread evenly over the training images. Below an
        image is its class; below a mixed view the share of its own class and the partner's class.
    """
    views = Views(data.train, policy=data.augment, view_seed=view_seed)
    side = max(data.image_shape[1], pictures.SMALLEST_SIDE)
    columns = max(1, min(_MAX_COLUMNS, _WIDTH // side, len(data.train)))
    rows = np.linspace(0, len(data.train) - 1, columns).astype(int)
    ids, labels = data.train.ids[rows], data.train.labels[rows]
    images = [data.train.images_at(rows)]
    names = [_name(data, label) for label in labels]
    for view in range(_VIEWS):
        images.append(views.images(ids, view))
        names += _names(data, views, ids, labels, view)
    return pictures.grid(np.concatenate(images), names, columns=columns)


def write(folder: Path, image: np.ndarray) -> None:
    """Writes a picture to `folder`/augmentation.png, whole or not at all."""
    with files.atomic_write(folder / FILE) as new_path:
        Image.fromarray(image).save(new_path, format="png")


def _names(
    data: Dataset, views: Views, ids: np.ndarray, labels: np.ndarray, view: int
) -> list[str]:
    """What stands below each image of a row of views."""
    if not data.augment.mixes:
        return [f"view {view}"] * len(ids)
    soft = views.labels(ids, view, len(data.class_names))
    names = []
    for probabilities, own_label in zip(soft, labels, strict=True):
        if (own_label == UNKNOWN).any():
            names.append("?")
            continue
        own_classes = [] if data.multi_label else [own_label]
        other_classes = [c for c in np.flatnonzero(probabilities) if c not in own_classes]
        shares = [(probabilities[c], data.class_names[c]) for c in [*other_classes, *own_classes]]
        words = [f"{100 * share:.0f} % {name}" for share, name in sorted(shares)[::-1]]
        names.append("\n".join(words))
    return names


def _name(data: Dataset, label: np.ndarray) -> str:
    """What stands below an image: its class, or its classes a line each."""
    if (label == UNKNOWN).any():
        return "?"
    classes = np.flatnonzero(label) if data.multi_label else [label]
    return "\n".join(data.class_names[c] for c in classes) or "no class"
