"""Runs a teacher on the views of a dataset and writes the cache part by part."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras.data import augmentation
from kd_keras.data.stores.store import Dataset, Split
from kd_keras.data.views import Views, view_settings
from kd_keras.teacher_cache import encoding, file_format, part_files
from kd_keras.teacher_cache.file_format import Header
from kd_keras.teacher_cache.reader import Cache

#: Runs a teacher: from images (B, H, W, C) uint8 to outputs (B, …) float by name.
TeacherFunction = Callable[[np.ndarray], dict[str, np.ndarray]]
#: Largest relative L2 error of rows that are computed again, by dtype. They differ by rounding and
#: by the order of sums.
TOLERANCE = {"float16": 1e-2, "float32": 1e-2}

#: Fields that all parts of a folder share beside `file_format.BOUND`, with their names in messages.
_FORM = {
    "outputs": "set of outputs",
    "dtype": "dtype",
    "top_k": "top_k",
    "rows_per_part": "number of rows per part",
}


def header_for(
    data: Dataset,
    *,
    teacher: str,
    outputs: dict[str, tuple[int, ...]],
    views: int = 1,
    view_seed: int = 0,
    **form: Any,
) -> Header:
    """The header of a cache of `data`'s training images.

    Args:
        data: dataset from `kd_keras.data.load`.
        teacher: text that identifies this teacher, its weights and its preprocessing.
        outputs: shape of a row by name; of a teacher without classes, no "logits".
        views: number of augmented views of each image.
        view_seed: seed of the augmentation; use the same in the run.
        **form: `precision`, `dtype`, `top_k`, `rows_per_part`, `about` of `Header`.

    Raises:
        ValueError: logits that are not one for each class, or a number out of range.
    """
    classes = len(data.class_names)
    if tuple(outputs.get(file_format.LOGITS, (classes,))) != (classes,):
        raise ValueError(
            f"outputs are {outputs}; expected 'logits' of shape ({classes},), one number per class "
            "of the dataset. An embedding needs another name, such as 'pooled'."
        )
    return Header(
        teacher=teacher,
        data=data.train.fingerprint or data.store_fingerprint,
        augment=view_settings(data.train, data.augment),
        view_seed=view_seed,
        views=views,
        examples=len(data.train),
        image_shape=tuple(data.image_shape),
        outputs=outputs,
        **form,
    )


def start(folder: Path, header: Header, split: Split) -> None:
    """Writes a cache's header, unless it has one; raises as `make`."""
    ids = np.sort(split.ids)
    with file_format.locked(folder):
        require_same(folder, header, ids)
        file_format.tidy(folder)
        if not _exists(folder) or header.views > file_format.read_header(folder).views:
            file_format.write_header(folder, header, ids)


def make(
    folder: Path,
    header: Header,
    split: Split,
    run_teacher: TeacherFunction,
    *,
    batch_size: int = 256,
    shard: tuple[int, int] = (0, 1),
    advance: Callable[[int], None] = lambda num_done: None,
) -> None:
    """Writes the missing parts of a cache; finished parts stay.

    Args:
        folder: its folder; a cache with the same settings is continued, also with more views.
        header: settings of the cache.
        split: the training examples.
        run_teacher: runs the teacher on a batch.
        batch_size: images per call of `run_teacher`.
        shard: (i, n) writes shard i of n; shards may run at once or on different machines.
        advance: called with the number of images since its last call.

    Raises:
        ValueError: the folder holds a cache with other settings, or an output cannot be stored.
        OSError: a file cannot be written, for example on a full disk; finished parts stay.
    """
    start(folder, header, split)
    ids, views = np.sort(split.ids), _views(split, header)
    for view, part in part_files.tasks(header, shard):
        first = part * header.rows_per_part
        part_ids = ids[first : first + header.rows_per_part]
        if part_files.is_finished(folder, view, part):
            advance(len(part_ids))
            continue
        arrays = _part(run_teacher, views, part_ids, header, view, batch_size, advance)
        with file_format.locked(folder):
            if not part_files.is_finished(folder, view, part):  # by another process
                part_files.write_part(folder, view, part, arrays)


def require_same(folder: Path, header: Header, ids: np.ndarray) -> None:
    """Raises ValueError if the folder holds a cache that cannot be continued with `header`."""
    if not _exists(folder):
        return
    old_header = file_format.read_header(folder)
    different_facts = file_format.differences(old_header, header)
    different_facts += [
        words for name, words in _FORM.items() if getattr(old_header, name) != getattr(header, name)
    ]
    if not np.array_equal(file_format.read_ids(folder, old_header), np.sort(ids)):
        different_facts.append("set of examples")
    if different_facts:
        raise ValueError(
            f"{folder} holds a cache made with a different "
            f"{' and a different '.join(different_facts)}. Choose another folder with --out, or "
            "remove this one."
        )


def is_complete(folder: Path, header: Header) -> bool:
    """Whether every part of the header's views is finished.

    Args:
        folder: folder of the cache.
        header: its header, or one of fewer views.
    """
    return _exists(folder) and all(
        part_files.is_finished(folder, view, part) for view, part in part_files.tasks(header)
    )


def verify(
    cache: Cache, split: Split, run_teacher: TeacherFunction, *, samples: int = 512, seed: int = 0
) -> float:
    """Computes some rows again, of random examples in each view, and compares them.

    Args:
        cache: cache to verify.
        split: examples that the cache was made from.
        run_teacher: runs the teacher on a batch.
        samples: number of rows to compare.
        seed: seed of the random choice.

    Returns:
        |cached - computed| / |computed| of the logits, or without them of the first output; L2
        norms over all compared rows.

    Raises:
        ValueError: the error is larger than rounding explains.
    """
    rng = np.random.default_rng(seed)
    total, views = np.zeros(2), _views(split, cache.header)
    names = list(cache.header.outputs)
    name = file_format.LOGITS if file_format.LOGITS in names else names[0]
    for view in range(cache.views):
        ids = rng.choice(cache.ids, min(len(cache.ids), -(-samples // cache.views)), replace=False)
        images = views.images(ids, view)
        encoded_rows = encoding.encode(run_teacher(images), cache.header)
        new_outputs = encoding.decode(encoded_rows, cache.header)
        new_rows = new_outputs[name].astype(np.float64)
        total += np.sum((cache(ids, view)[name] - new_rows) ** 2), np.sum(new_rows**2)
    error = float(np.sqrt(total[0] / max(total[1], 1e-30)))
    if not error <= TOLERANCE[cache.header.dtype]:
        raise ValueError(
            f"rows of the cache {cache.folder} differ from the teacher's outputs by {error:.2g} "
            f"(relative L2 error); expected at most {TOLERANCE[cache.header.dtype]:g}. Remove the "
            "folder and make it again."
        )
    return error


def _exists(folder: Path) -> bool:
    return (folder / "header.json").is_file()


def _part(
    run_teacher: TeacherFunction,
    views: Views,
    ids: np.ndarray,
    header: Header,
    view: int,
    batch_size: int,
    advance: Callable[[int], None],
) -> dict[str, np.ndarray]:
    """The arrays to store, encoded batch by batch: with `top_k` they are small."""
    batches: dict[str, list[np.ndarray]] = {name: [] for name in header.stored}
    for batch_ids in np.array_split(ids, -(-len(ids) // batch_size)):
        encoded_rows = encoding.encode(run_teacher(views.images(batch_ids, view)), header)
        for name, arrays in batches.items():
            arrays.append(encoded_rows[name])
        advance(len(batch_ids))
    return {name: np.concatenate(arrays) for name, arrays in batches.items()}


def _views(split: Split, header: Header) -> Views:
    policy = augmentation.from_json(header.augment)
    return Views(split, policy=policy, view_seed=header.view_seed)
