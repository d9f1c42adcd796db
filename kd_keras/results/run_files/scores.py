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
from kd_keras.data.stores import sealed
from kd_keras.teacher_cache import encoding, file_format
from kd_keras.teacher_cache.file_format import LOGITS, Header

MOST_CLASSES = 500  # with more, only the largest logits are kept
TOP_K = 20
FLOAT32_BYTES = 16_000_000  # larger arrays are kept in float16
LABELS = "validation-labels.npy"


def save(folder: Path, phase: str, scores: np.ndarray, *, multi_label: bool = False) -> None:
    """Saves the logits of each validation image, (N, C) float, in order.

    In float16, each image's largest logit is 0: that changes no probability, and it is exact, so
    that the predicted class stays the same, unless another logit is within 3e-8 of it. With
    `multi_label`, logits of sigmoids, all are kept as they are.
    """
    _, classes = scores.shape
    plain, packed = _paths(folder, phase)
    if multi_label:
        large = 4 * scores.size > FLOAT32_BYTES
        most = float(np.finfo(np.float16).max)
        values = np.clip(scores, -most, most).astype(np.float16) if large else scores
        sealed.save(plain, np.asarray(values, np.float16 if large else np.float32))
        return
    if classes <= MOST_CLASSES:
        sealed.save(plain, _small(scores))
        packed.unlink(missing_ok=True)
        return
    header = _header(scores.shape)
    arrays: dict[str, Any] = encoding.encode({LOGITS: _shifted(scores)}, header)
    with files.in_place_of(packed) as fresh:
        np.savez(fresh, classes=np.array(classes), **arrays)
        sealed.seal(fresh)
    plain.unlink(missing_ok=True)


def load(folder: Path, phase: str) -> np.ndarray | None:
    """The logits that `save` saved, (N, C) float32; None if there are none or they are damaged.

    Of many classes, those that are not kept share the rest of an image's probability evenly.
    """
    plain, packed = _paths(folder, phase)
    try:
        if plain.is_file():
            return np.asarray(sealed.load(plain), np.float32)
        with np.load(io.BytesIO(sealed.unsealed(packed)), allow_pickle=False) as stored:
            shape = (len(stored[file_format.TOP]), int(stored["classes"]))
            return encoding.decode(dict(stored), _header(shape))[LOGITS]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def save_labels(folder: Path, labels: np.ndarray) -> None:
    """Saves the labels of the validation images, (N,) int or (N, C) of 0 and 1, in order."""
    sealed.save(folder / LABELS, np.asarray(labels, np.int32))


def load_labels(folder: Path) -> np.ndarray | None:
    """The labels that `save_labels` saved, int32; None if there are none."""
    try:
        return sealed.load(folder / LABELS)
    except (OSError, ValueError, EOFError):
        return None


def _paths(folder: Path, phase: str) -> tuple[Path, Path]:
    return folder / f"{phase}-scores.npy", folder / f"{phase}-scores.npz"


def _small(scores: np.ndarray) -> np.ndarray:
    if 4 * scores.size <= FLOAT32_BYTES:
        return np.asarray(scores, np.float32)
    return _shifted(scores).astype(np.float16)


def _shifted(scores: np.ndarray) -> np.ndarray:
    """The scores less the largest of their row, within the range of float16."""
    shifted = np.asarray(scores, np.float32) - scores.max(axis=1, keepdims=True)
    return np.asarray(np.clip(shifted, float(np.finfo(np.float16).min), 0.0))


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
