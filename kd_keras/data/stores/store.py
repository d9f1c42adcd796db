"""A dataset whose decoded uint8 images lie in memory-mapped files, and its splits.

`store_folder` opens the folder that holds the files.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kd_keras.data.augmentation import Policy
from kd_keras.data.images import centre_crop
from kd_keras.data.stores.joined_images import JoinedImages

UNKNOWN = -1  # the label of an example whose class is not known


@dataclass(frozen=True)
class Split:
    """Examples: rows `ids` of a stored file of images, and their labels.

    Attributes:
        images: (M, H, W, C) uint8, a whole file or several joined, memory-mapped, of a subset too:
            example i is row ids[i], and `images_at` gives the images of examples.
        labels: (N,) int32, one for each example; -1 if unknown. Of multi-label data, (N, C) int32:
            1 for each class that the example has, else 0; rows of -1 if unknown.
        ids: (N,) int64, the row of each example in `images`, which identifies it in every subset.
        fingerprint: fingerprint of the store that holds the images; "" if no store does.
        names_file: the names of the files that the rows of `images` come from; None if unknown.
        side: pixels a side of the images that models take; None: those of `images`.
        crop: share of the side of a larger stored image that evaluation uses, see `centre_crop`.

    Raises ValueError if the parts do not fit together.
    """

    images: np.ndarray | JoinedImages
    labels: np.ndarray
    ids: np.ndarray
    fingerprint: str = ""
    names_file: Path | None = None
    side: int | None = None
    crop: float = 1.0

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            raise ValueError(
                f"images are {self.images.dtype} of {self.images.ndim} dimensions; expected uint8 "
                "(M, H, W, C). Convert the images, and give grey ones an axis of channels."
            )
        if len(self.labels) != len(self.ids):
            raise ValueError(
                f"Got {len(self.labels)} labels and {len(self.ids)} ids; expected equal numbers."
            )
        if len(self.ids) and not 0 <= self.ids.min() <= self.ids.max() < len(self.images):
            raise ValueError(
                f"ids go from {self.ids.min()} to {self.ids.max()}; expected rows of "
                f"{len(self.images)} images. Give the row of each example's image."
            )

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> "Split":
        """The examples at positions `rows`, (n,) int, in that order; no image is read."""
        return replace(self, labels=self.labels[rows], ids=self.ids[rows])

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of the images that models take."""
        height, width, channels = self.images.shape[1:]
        return (self.side or height, self.side or width, channels)

    def images_at(self, rows: np.ndarray | slice) -> np.ndarray:
        """(n, H, W, C) uint8: the images of the examples at positions `rows`, for evaluation."""
        source, positions = self.rows_of(self.ids[rows])
        images: np.ndarray = np.asarray(source)[positions]
        if self.side is None:
            return images
        return centre_crop.centre_crops(images, side=self.side, share=self.crop)

    def rows_of(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the images with these ids are: an array of images, and (B,) int rows in it."""
        if isinstance(self.images, JoinedImages):
            return self.images[ids], np.arange(len(ids))
        return self.images, ids

    @property
    def known(self) -> np.ndarray:
        """(N,) bool: whose label is known."""
        is_known: np.ndarray = np.not_equal(self.labels, UNKNOWN)
        return np.asarray(is_known.all(axis=1)) if self.multi_label else is_known

    @property
    def multi_label(self) -> bool:
        """Whether an example may have several classes, or none."""
        return self.labels.ndim == 2

    def labelled(self) -> "Split":
        """The examples whose label is known."""
        return self if self.known.all() else self.take(np.flatnonzero(self.known))

    def names(self) -> list[str] | None:
        """(N,) names of the examples' files, as their source names them; None if unknown."""
        if self.names_file is None:
            return None
        try:
            stored_names = json.loads(self.names_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # they are a help for people; nothing else depends on them
            return None
        is_complete = isinstance(stored_names, list) and len(stored_names) == len(self.images)
        return [stored_names[row] for row in self.ids] if is_complete else None


@dataclass(frozen=True)
class Dataset:
    """A dataset, ready for training.

    Attributes:
        name: what the user typed, with an absolute path.
        train: examples to train on; a label is -1 if it is hidden or unknown.
        validation: labelled examples.
        test: examples for a final test, or None; their labels are -1 if unknown.
        class_names: one for each label, unique.
        image_shape: (H, W, C).
        augment: what training does to an image.
        fingerprint: hash of the content, whatever its path; equal data have equal fingerprints.
        resize: how an image that is not square is made square, see `resizing.resized`.
        notes: what was left out, held out or changed, one sentence each, see `data.notes`.
        stopping: examples held out of train to end trainings by; None for none.
        train_with_all_labels: the labelled examples of the dataset where `train` hides labels of
            some; None where it hides none.
    """

    name: str
    train: Split
    validation: Split
    test: Split | None
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    augment: Policy
    fingerprint: str
    resize: str = "crop"
    notes: tuple[str, ...] = ()
    stopping: Split | None = None
    train_with_all_labels: Split | None = None

    @property
    def multi_label(self) -> bool:
        """Whether an image may have several of the classes, or none."""
        return self.train.multi_label

    @property
    def store_fingerprint(self) -> str:
        """Fingerprint of the stored images, whatever part of them is held out."""
        return self.fingerprint.partition("-")[0]

    def summary(self) -> str:
        """Number of images, number of classes and image size, in one line."""
        num_known = int(self.train.known.sum())
        labels = f" ({num_known:,} with a label)" if num_known < len(self.train) else ""
        labels = f", several an image{labels}" if self.multi_label else labels
        phrases = [
            f"{len(self.train):,} train images in {len(self.class_names)} classes{labels}",
            f"{len(self.validation):,} validation images",
        ]
        if self.test is not None:
            label_text = "unlabelled " if (self.test.labels < 0).all() else ""
            phrases.append(f"{len(self.test):,} {label_text}test images")
        return ", ".join([*phrases, "x".join(map(str, self.image_shape))])


@dataclass(frozen=True)
class Store:
    """An opened store; its splits are "train" and, if there are such, "validation" and "test"."""

    splits: dict[str, Split]
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    augment: Policy
    fingerprint: str
    state: str
    source_sha256: str
    notes: tuple[str, ...]
