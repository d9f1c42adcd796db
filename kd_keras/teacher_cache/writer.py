"""Runs a teacher over the views of a data set and writes a cache, part by part."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras.data.augment import Augment, augment
from kd_keras.data.store import Dataset, Split
from kd_keras.teacher_cache import encoding, file_format
from kd_keras.teacher_cache.file_format import Header
from kd_keras.teacher_cache.reader import Cache

#: From images (B, H, W, C) uint8 to outputs (B, …) float by name.
Ask = Callable[[np.ndarray], dict[str, np.ndarray]]
#: Most of the relative L2 error that rows computed again may show, by dtype: rounding and the
#: order of sums in another batch.
TOLERANCE = {"float16": 1e-2, "float32": 1e-2}

#: What parts of one folder have in common beside `layout.BOUND`, with words for people.
_FORM = {
    "outputs": "set of outputs",
    "dtype": "dtype",
    "top_k": "top_k",
    "rows_per_part": "number of rows a part",
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
        data: what `kd_keras.data.load` gives.
        teacher: what tells this teacher, its weights and its preprocessing, from any other.
        outputs: shape of a row by name; "logits" must be there.
        views: augmented views of each image.
        view_seed: of the crops and flips, as the run's.
        **form: `precision`, `dtype`, `top_k`, `rows_per_part`, `about` of `Header`.

    Raises:
        ValueError: no logits among the outputs, or a number out of range.
    """
    classes = len(data.class_names)
    if tuple(outputs.get(file_format.LOGITS, ())) != (classes,):
        raise ValueError(
            f"outputs are {outputs}; expected 'logits' of ({classes},), a number for each class of "
            "the data."
        )
    return Header(
        teacher=teacher,
        data=data.store_fingerprint,
        augment=dataclasses.asdict(data.augment),
        view_seed=view_seed,
        views=views,
        examples=len(data.train),
        image_shape=tuple(data.image_shape),
        outputs=outputs,
        **form,
    )


def make(
    folder: Path,
    header: Header,
    split: Split,
    ask: Ask,
    *,
    batch_size: int = 256,
    shard: tuple[int, int] = (0, 1),
    advance: Callable[[int], None] = lambda count: None,
) -> None:
    """Writes what is not there yet of a cache; parts that are finished stay.

    Args:
        folder: where; a cache of the same things there is gone on with, also with more views.
        header: what to make.
        split: the training examples.
        ask: the teacher.
        batch_size: images a call of `ask`.
        shard: (i, n), the i-th of n makers, which may run at once or on different machines.
        advance: is told how many images are done.

    Raises:
        ValueError: the folder holds a cache of other things; outputs that cannot be stored.
        OSError: the disk is full, or the like; what is finished stays.
    """
    ids = np.sort(split.ids)
    with file_format.locked(folder):
        require_same(folder, header, ids)
        if not _exists(folder) or header.views > file_format.read_header(folder).views:
            file_format.write_header(folder, header, ids)
    for view, part in file_format.tasks(header, shard):
        start = part * header.rows_per_part
        of_part = ids[start : start + header.rows_per_part]
        if file_format.is_finished(folder, view, part):
            advance(len(of_part))
            continue
        outputs = _asked(ask, split, of_part, header, view, batch_size, advance)
        arrays = encoding.encoded(outputs, header)
        with file_format.locked(folder):
            if not file_format.is_finished(folder, view, part):  # nor by another maker meanwhile
                file_format.write_part(folder, view, part, arrays)


def require_same(folder: Path, header: Header, ids: np.ndarray) -> None:
    """Raises ValueError if the folder holds a cache that `header` cannot go on with."""
    if not _exists(folder):
        return
    before = file_format.read_header(folder)
    differing = file_format.differences(before, header)
    differing += [
        words for name, words in _FORM.items() if getattr(before, name) != getattr(header, name)
    ]
    if not np.array_equal(file_format.read_ids(folder, before), np.sort(ids)):
        differing.append("set of examples")
    if differing:
        raise ValueError(
            f"{folder} holds a cache made with another {' and another '.join(differing)}. Choose "
            "another folder with --out, or remove this one."
        )


def is_complete(folder: Path, header: Header) -> bool:
    """Whether every part of the header's views is finished."""
    return _exists(folder) and all(
        file_format.is_finished(folder, view, part) for view, part in file_format.tasks(header)
    )


def verify(cache: Cache, split: Split, ask: Ask, *, samples: int = 512, seed: int = 0) -> float:
    """Computes rows of random examples and views again.

    Args:
        cache: what is to be verified.
        split: the examples that it was made of.
        ask: the teacher.
        samples: how many rows.
        seed: of the choice.

    Returns:
        |cached - computed| / |computed| of the logits, L2 norms over all sampled rows.

    Raises:
        ValueError: the error is above what rounding explains.
    """
    rng = np.random.default_rng(seed)
    total = np.zeros(2)
    for view in range(cache.views):
        ids = rng.choice(cache.ids, min(len(cache.ids), -(-samples // cache.views)), replace=False)
        images = _images(split, ids, cache.header, view)
        computed = encoding.decoded(encoding.encoded(ask(images), cache.header), cache.header)
        logits = computed[file_format.LOGITS].astype(np.float64)
        total += np.sum((cache(ids, view)[file_format.LOGITS] - logits) ** 2), np.sum(logits**2)
    error = float(np.sqrt(total[0] / max(total[1], 1e-30)))
    if not error <= TOLERANCE[cache.header.dtype]:
        raise ValueError(
            f"rows of the cache {cache.folder} differ from the teacher's outputs by {error:.2g} of "
            "their length; expected under "
            f"{TOLERANCE[cache.header.dtype]:g}. Remove the folder and make it again."
        )
    return error


def _exists(folder: Path) -> bool:
    return (folder / "header.json").is_file()


def _asked(
    ask: Ask,
    split: Split,
    ids: np.ndarray,
    header: Header,
    view: int,
    batch_size: int,
    advance: Callable[[int], None],
) -> dict[str, np.ndarray]:
    found: dict[str, list[np.ndarray]] = {name: [] for name in header.outputs}
    for some in np.array_split(ids, -(-len(ids) // batch_size)):
        outputs = ask(_images(split, some, header, view))
        for name, of in found.items():
            of.append(np.asarray(outputs[name]))
        advance(len(some))
    return {name: np.concatenate(of) for name, of in found.items()}


def _images(split: Split, ids: np.ndarray, header: Header, view: int) -> Any:
    policy = Augment(**header.augment)
    return augment(split.images, ids, ids, view_seed=header.view_seed, view=view, policy=policy)
