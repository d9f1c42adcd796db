"""The scores that a run's models give its validation images, and their labels, in the run folder.

`<phase>-scores.npy` holds the logits (N, C) in the order of the images: in float32, and in float16
where that would be a large file. With many classes, `<phase>-scores.npz` holds the largest
`TOP_K` of each image, as a teacher cache does.
"""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras import files
from kd_keras.data.stores import hashed_arrays
from kd_keras.teacher_cache import encoding, file_format
from kd_keras.teacher_cache.file_format import LOGITS, Header

MAX_CLASSES = 500  # with more, only the largest logits are kept
TOP_K = 20
FLOAT32_BYTES = 16_000_000  # larger arrays are kept in float16
LABELS = "validation-labels.npy"


def save(folder: Path, phase: str, scores: np.ndarray, *, multi_label: bool = False) -> None:
    """Saves the logits of each validation image, (N, C) float, in order.

    In float16, each image's largest logit is 0: that changes no probability, and it is exact, so
    that the predicted class stays the same, unless another logit is within 3e-8 of it. With
    `multi_label`, logits of sigmoids, all are kept as they are.

    Args:
        folder: the run folder.
        phase: name of the phase.
        scores: (N, C) float, finite.
        multi_label: whether they are logits of sigmoids.
    """
    _, classes = scores.shape
    npy_path, npz_path = _paths(folder, phase)
    if multi_label:
        is_large = 4 * scores.size > FLOAT32_BYTES
        largest_float16 = float(np.finfo(np.float16).max)
        values = (
            np.clip(scores, -largest_float16, largest_float16).astype(np.float16)
            if is_large
            else scores
        )
        hashed_arrays.save(npy_path, np.asarray(values, np.float16 if is_large else np.float32))
        return
    if classes <= MAX_CLASSES:
        hashed_arrays.save(npy_path, _in_small_dtype(scores))
        npz_path.unlink(missing_ok=True)
        return
    header = _header(scores.shape)
    arrays: dict[str, Any] = encoding.encode({LOGITS: _shift_to_float16(scores)}, header)
    with files.atomic_write(npz_path) as new_path:
        np.savez(new_path, classes=np.array(classes), **arrays)
        hashed_arrays.seal(new_path)
    npy_path.unlink(missing_ok=True)


def load(folder: Path, phase: str) -> np.ndarray | None:
    """The logits that `save` saved, (N, C) float32; None if there are none or they are damaged.

    Of many classes, those that are not kept share the rest of an image's probability evenly.

    Args:
        folder: the run folder.
        phase: name of the phase.
    """
    npy_path, npz_path = _paths(folder, phase)
    try:
        if npy_path.is_file():
            return np.asarray(hashed_arrays.load(npy_path), np.float32)
        with np.load(io.BytesIO(hashed_arrays.unsealed(npz_path)), allow_pickle=False) as arrays:
            shape = (len(arrays[file_format.TOP]), int(arrays["classes"]))
            return encoding.decode(dict(arrays), _header(shape))[LOGITS]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def save_labels(folder: Path, labels: np.ndarray) -> None:
    """Saves the labels of the validation images, (N,) int or (N, C) of 0 and 1, in order."""
    hashed_arrays.save(folder / LABELS, np.asarray(labels, np.int32))


def load_labels(folder: Path) -> np.ndarray | None:
    """The labels that `save_labels` saved, int32; None if there are none."""
    try:
        return hashed_arrays.load(folder / LABELS)
    except (OSError, ValueError, EOFError):
        return None


def _paths(folder: Path, phase: str) -> tuple[Path, Path]:
    return folder / f"{phase}-scores.npy", folder / f"{phase}-scores.npz"


def _in_small_dtype(scores: np.ndarray) -> np.ndarray:
    if 4 * scores.size <= FLOAT32_BYTES:
        return np.asarray(scores, np.float32)
    return _shift_to_float16(scores).astype(np.float16)


def _shift_to_float16(scores: np.ndarray) -> np.ndarray:
    """The scores less the largest of their row, within the range of float16."""
    shifted_scores = np.asarray(scores, np.float32) - scores.max(axis=1, keepdims=True)
    return np.asarray(np.clip(shifted_scores, float(np.finfo(np.float16).min), 0.0))


def _header(shape: tuple[int, ...]) -> Header:
    images, classes = shape
    return Header(
        teacher="",
        data="",
        augment={},
        view_seed=0,
        views=1,
        examples=images,
        outputs={LOGITS: (classes,)},
        dtype="float16",
        top_k=TOP_K,
    )
