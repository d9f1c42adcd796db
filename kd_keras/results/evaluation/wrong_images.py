"""A model's wrong predictions as CSV and as a contact sheet, the most confident first."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kd_keras import files
from kd_keras.data.stores.store import Split
from kd_keras.results import csv_table
from kd_keras.results.plots import pictures

COLUMNS = ("file", "truth", "prediction", "confidence")
ON_SHEET = 36
_SMALLEST_SIDE = 120  # pixels of an image on the sheet


@dataclasses.dataclass(frozen=True)
class WrongImage:
    """A wrongly classified image with its prediction.

    Attributes:
        file: its name; its id where the dataset keeps no names.
        truth, prediction: names of its class and of the model's.
        confidence: probability that the model gives to its answer, 0 to 1.
        row: its place in the split.
    """

    file: str
    truth: str
    prediction: str
    confidence: float
    row: int


def list_wrong_images(
    split: Split, predicted_classes: np.ndarray, confidence: np.ndarray, class_names: Sequence[str]
) -> tuple[WrongImage, ...]:
    """The wrong images of a split, most confident first.

    Args:
        split: labelled examples, (N,).
        predicted_classes: (N,) int classes.
        confidence: (N,) float probabilities of these classes.
        class_names: C names.
    """
    wrong_rows = np.flatnonzero(predicted_classes != split.labels)
    rows_by_confidence = wrong_rows[np.argsort(-confidence[wrong_rows], kind="stable")]
    names = split.names() or [f"id {number}" for number in split.ids]
    return tuple(
        WrongImage(
            names[row],
            class_names[split.labels[row]],
            class_names[predicted_classes[row]],
            float(confidence[row]),
            int(row),
        )
        for row in rows_by_confidence
    )


def write(path: Path, wrong_images: Sequence[WrongImage]) -> None:
    """Writes file, truth, prediction and confidence as CSV."""
    rows = ([w.file, w.truth, w.prediction, f"{w.confidence:.6f}"] for w in wrong_images)
    csv_table.write(path, COLUMNS, rows)


def contact_sheet(path: Path, split: Split, wrong_images: Sequence[WrongImage]) -> None:
    """Writes a PNG of the first `ON_SHEET` wrong images, with truth and prediction below each.

    Args:
        path: the file.
        split: the split that the images are of.
        wrong_images: from `list_wrong_images`.
    """
    from PIL import Image

    most_confident = wrong_images[:ON_SHEET]
    images = split.images_at(np.array([image.row for image in most_confident]))
    texts = [f"is {w.truth}\nsaid {w.prediction} ({w.confidence:.0%})" for w in most_confident]
    sheet = pictures.grid(images, texts, smallest_side=_SMALLEST_SIDE)
    with files.atomic_write(path) as new_path:
        Image.fromarray(sheet).save(new_path, format="PNG", optimize=True)
