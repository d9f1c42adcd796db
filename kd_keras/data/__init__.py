"""Image classification data: every source ends in the same memory-mapped store.

`load(name)` gives a `Dataset`; `pipeline.BatchPlan` and `pipeline.evaluation` make its batches.
"""

import dataclasses
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from kd_keras import check

if TYPE_CHECKING:
    from kd_keras.data.prepare import Source
    from kd_keras.data.progress import Progress
    from kd_keras.data.store import Dataset, Split, Store

DEFAULT_CACHE = "~/.cache/kd_keras"
RESIZES = ("crop", "pad", "squash")  # those of `resizing`, which imports TensorFlow
_LOG = logging.getLogger("kd_keras")

_ABOUT = {
    "tiny_imagenet": "Tiny ImageNet: 200 classes, 64x64; downloads 237 MiB without --data-dir",
    "digits": "scikit-learn's digits: 10 classes, 8x8, grey; embedded, needs no network",
    "folder:PATH": "your own images: one folder a class, or train/, val/ and test/ folders of them",
    "tfds:NAME": "any image classification set of TensorFlow Datasets, such as tfds:cifar100",
}


def names() -> tuple[str, ...]:
    """The sources of data; PATH and NAME stand for your own words."""
    return tuple(_ABOUT)


def describe(name: str) -> str:
    """One line about a source of `names()`."""
    return _ABOUT[check.one_of("data set", name, _ABOUT)]


def cache_folder() -> Path:
    """What is made once lies here: $KD_KERAS_CACHE, or `DEFAULT_CACHE`."""
    return Path(os.environ.get("KD_KERAS_CACHE") or DEFAULT_CACHE).expanduser()


def load(
    name: str,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    resize: str | None = None,
    flip: bool | None = None,
    val_fraction: float | None = None,
    select: float | None = None,
    seed: int = 0,
    cache_dir: str | os.PathLike[str] | None = None,
    progress: "Progress | None" = None,
    verify: bool = False,
    tell: Callable[[str], None] | None = None,
) -> "Dataset":
    """A data set by name, from its store; made first if there is none.

    Args:
        name: one of `names()`.
        data_dir: where the source's own files are, for tiny_imagenet (the archive or the extracted
            folder; no network is needed then) and tfds:NAME (TensorFlow Datasets' data_dir).
        image_size: pixels a side; None keeps the source's size. Images of a folder
            or of tfds:NAME that have several sizes, or one above 512, get the median of their
            shorter sides, at most 224.
        resize: how an image of another aspect is made square: "crop" cuts its centre out, "pad"
            adds black borders, "squash" changes its aspect. None is the source's default
            (tfds:NAME "squash", others "crop").
        flip: whether training mirrors images at random; None is the source's default: not for
            digits, characters and folders whose classes are single letters or digits.
        val_fraction: share of train to validate on, for a source without a validation part; None
            is the source's default (digits 0.2, others 0.1).
        select: for choosing settings: this share of train, stratified, takes the place of the
            validation part.
        seed: of both hold-outs. Leave it, and every run compares on the same examples.
        cache_dir: where stores are kept; None is $KD_KERAS_CACHE or ~/.cache/kd_keras.
        progress: `progress(what, total)` is a context manager that gives `advance(count)`; None
            shows nothing.
        verify: checks the store's contents, and the source's files behind it, against their
            hashes, at about 1 GB/s.
        tell: is called with each note of the `Dataset`; None logs them as warnings of the logger
            "kd_keras".

    Raises:
        ValueError, FileNotFoundError: what is wrong with the name, the data or an option.
    """
    from kd_keras.data import prepare

    source = _source(name, data_dir, image_size, resize)
    cache = Path(cache_dir).expanduser() if cache_dir else cache_folder()
    store = prepare.ensure(source, cache_dir=cache, progress=progress, verify=verify)
    loaded = _dataset(source, store, val_fraction, select, seed)
    if flip is not None:
        loaded = dataclasses.replace(loaded, augment=dataclasses.replace(loaded.augment, flip=flip))
    elif source.flip_note:
        note = f"mirroring is off: {source.flip_note} (--flip turns it on)"
        loaded = dataclasses.replace(loaded, notes=(*loaded.notes, note))
    for note in loaded.notes:
        (tell or _LOG.warning)(note)
    return loaded


def _source(
    name: str, data_dir: str | os.PathLike[str] | None, image_size: int | None, resize: str | None
) -> "Source":
    if image_size is not None:
        check.whole_number("image_size", image_size, at_least=1)
    if resize is not None:
        check.one_of("resize", resize, RESIZES)
    path = None if data_dir is None else Path(data_dir).expanduser()
    kind, _, rest = name.partition(":")
    if name == "tiny_imagenet":
        from kd_keras.data.tiny_imagenet import source as tiny_imagenet

        return tiny_imagenet.source(data_dir=path, image_size=image_size, resize=resize)
    if kind == "tfds" and rest:
        from kd_keras.data import tfds_source

        return tfds_source.source(rest, data_dir=path, image_size=image_size, resize=resize)
    if name != "digits" and not (kind == "folder" and rest):
        is_folder = Path(name).expanduser().is_dir()
        hint = f"{name} is a folder: did you mean --dataset folder:{name}?" if is_folder else ""
        check.one_of("data set", name, _ABOUT, remedy=hint)
    if path is not None:
        raise ValueError(f"data_dir is {path}, but {name} is found without one; leave it out.")
    if name == "digits":
        from kd_keras.data import digits

        return digits.source(image_size=image_size, resize=resize)
    from kd_keras.data import folder

    return folder.source(Path(rest).expanduser(), image_size=image_size, resize=resize)


def _dataset(
    source: "Source", store: "Store", val_fraction: float | None, select: float | None, seed: int
) -> "Dataset":
    from kd_keras.data import holdout
    from kd_keras.data.store import Dataset

    train, validation = store.splits["train"], store.splits.get("validation")
    fingerprint, notes = store.fingerprint, list(store.notes)
    if validation is not None and val_fraction is not None:
        raise ValueError(
            f"val_fraction is {val_fraction:g}, but {source.name} has a validation part; "
            f"leave it out, or give --select {val_fraction:g} to validate on a part of train."
        )
    if validation is None:
        fraction = source.val_fraction if val_fraction is None else val_fraction
        kept, held = holdout.stratified(train.labels, fraction, seed=seed)
        train, validation = train.take(kept), train.take(held)
        notes.append(_holding_out(fraction, len(held), store.splits.get("test")))
        fingerprint += f"-val{fraction:g}.{seed}"
    if select is not None:
        kept, held = holdout.stratified(train.labels, select, seed=seed)
        train, validation = train.take(kept), train.take(held)
        notes.append(f"{_holding_out(select, len(held))}, to choose settings by")
        fingerprint += f"-select{select:g}.{seed}"
    return Dataset(
        name=source.name,
        train=train,
        validation=validation,
        test=store.splits.get("test"),
        class_names=store.class_names,
        image_shape=store.image_shape,
        augment=store.augment,
        fingerprint=fingerprint,
        resize=source.resize,
        notes=tuple(notes),
    )


def _holding_out(fraction: float, count: int, test: "Split | None" = None) -> str:
    words = f"holding out {100 * fraction:g} % of train ({count:,} images) as validation"
    return words if test is None else f"{words}; test stays a test split, used for neither"
