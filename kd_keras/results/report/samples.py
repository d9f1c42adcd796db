"""A few validation images kept in the run folder, for its report: chosen where models differ."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from kd_keras import files
from kd_keras.data.stores.store import Split
from kd_keras.results.report.finished_run import FinishedRun

MAX_IMAGES = 20
NAME = "report-images.npz"
# How many of each kind, where there are so many; the rest are images that the student has right.
_GAINED, _LOST, _WRONG = 7, 4, 4
_OUTCOMES = ("gained", "lost", "wrong", "right")


def choose(
    student_classes: np.ndarray,
    compared_classes: np.ndarray | None,
    labels: np.ndarray,
    *,
    seed: int,
) -> np.ndarray:
    """Up to `MAX_IMAGES` rows, (n,) int: gained first, then lost, wrong for both, and right.

    Args:
        student_classes: (N,) predicted classes, or (N, C) of 0 and 1.
        compared_classes: (N,) those of the model that it is compared with; None if there is none.
        labels: (N,) int, or (N, C) of 0 and 1.
        seed: seed of the choice among many.
    """
    outcomes = outcomes_of(student_classes, compared_classes, labels)
    random = np.random.default_rng(seed)
    rows_by_outcome = [random.permutation(np.flatnonzero(outcomes == name)) for name in _OUTCOMES]
    limited_rows = [
        rows[:limit]
        for rows, limit in zip(rows_by_outcome, (_GAINED, _LOST, _WRONG, MAX_IMAGES), strict=True)
    ]
    rows_to_show = np.concatenate(limited_rows)[:MAX_IMAGES]
    spare_rows = np.setdiff1d(np.concatenate(rows_by_outcome), rows_to_show)[
        : MAX_IMAGES - len(rows_to_show)
    ]
    rows_to_show = np.concatenate([rows_to_show, spare_rows])
    return rows_to_show[
        np.argsort([_OUTCOMES.index(outcomes[row]) for row in rows_to_show], kind="stable")
    ]


def outcomes_of(
    student_classes: np.ndarray, compared_classes: np.ndarray | None, labels: np.ndarray
) -> np.ndarray:
    """(N,) text: which of the two models is right on each image.

    "gained": the student alone; "lost": the other alone; "right": both; "wrong": neither.

    Args:
        student_classes, compared_classes, labels: as for `choose`.
    """
    student_is_right = correct(student_classes, labels)
    compared_is_right = (
        student_is_right if compared_classes is None else correct(compared_classes, labels)
    )
    return np.select(
        [student_is_right & compared_is_right, student_is_right, compared_is_right],
        ["right", "gained", "lost"],
        "wrong",
    )


def correct(predictions: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N,) bool: whether an image is predicted rightly; of (N, C) labels, all of its classes.

    Args:
        predictions: (N,) int classes, or (N, C) of 0 and 1.
        labels: labels, in the same shape.
    """
    is_equal = np.equal(predictions, labels)
    return np.asarray(is_equal.all(axis=1) if is_equal.ndim == 2 else is_equal)


def keep(run: FinishedRun, split: Split) -> None:
    """Chooses images of the validation split and saves them in the run folder."""
    student_classes = run.predictions(run.student)
    compared_classes = None if run.reference is None else run.predictions(run.reference)
    if student_classes is not None:
        rows = choose(
            student_classes, compared_classes, split.labels, seed=int(run.recipe.get("seed", 0))
        )
        save(run.folder, split, rows)


def save(folder: Path, split: Split, rows: np.ndarray) -> None:
    """Saves the images of the rows, uint8, with the rows.

    Args:
        folder: the run folder.
        split: the validation split.
        rows: (n,) int, positions in the split.
    """
    with files.atomic_write(folder / NAME) as new_path:
        np.savez_compressed(new_path, rows=rows, images=split.images_at(rows))


def load(folder: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Rows (n,) and images (n, H, W, C) uint8 that `save` saved; None if they cannot be read."""
    try:
        with np.load(folder / NAME, allow_pickle=False) as arrays:
            return arrays["rows"], arrays["images"]
    except (
        *(OSError, ValueError, KeyError, EOFError, SyntaxError),
        *(zipfile.BadZipFile, zlib.error, RuntimeError),  # encrypted, or of an unknown kind
    ):
        return None
