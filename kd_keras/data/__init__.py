"""Image classification data: every source ends in the same memory-mapped store.

`load(name)` gives a `Dataset`; `pipeline.training` and `pipeline.evaluation` make batches of it.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from kd_keras import check

if TYPE_CHECKING:
    from kd_keras.data.making import Source
    from kd_keras.data.progress import Progress
    from kd_keras.data.store import Dataset, Store

DEFAULT_CACHE = "~/.cache/kd_keras"

_ABOUT = {
    "tiny_imagenet": "Tiny ImageNet: 200 classes, 64x64; downloads 237 MiB without --data-dir",
    "digits": "scikit-learn's digits: 10 classes, 8x8, grey; embedded, needs no network",
    "folder:PATH": "your own images: one sub-folder a class, or train/ and val/ folders of them",
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
    val_fraction: float | None = None,
    select: float | None = None,
    seed: int = 0,
    cache_dir: str | os.PathLike[str] | None = None,
    progress: "Progress | None" = None,
    verify: bool = False,
) -> "Dataset":
    """A data set by name, from its store; made first if there is none.

    Args:
        name: one of `names()`.
        data_dir: where the source's own files are, for tiny_imagenet (the archive or the extracted
            folder; no network is needed then) and tfds:NAME (TensorFlow Datasets' data_dir).
        image_size: pixels a side; None keeps the source's size.
        val_fraction: share of train to validate on, for a source without a validation part; None
            is the source's default (digits 0.2, others 0.1).
        select: for choosing settings: this share of train, stratified, takes the place of the
            validation part.
        seed: of both hold-outs. Leave it, and every run compares on the same examples.
        cache_dir: where stores are kept; None is $KD_KERAS_CACHE or ~/.cache/kd_keras.
        progress: `progress(what, total)` is a context manager that gives `advance(count)`; None
            shows nothing.
        verify: checks the store's contents against their hash, at about 1 GB/s.

    Raises:
        ValueError, FileNotFoundError: what is wrong with the name, the data or an option.
    """
    from kd_keras.data import making

    source = _source(name, data_dir, image_size)
    cache = Path(cache_dir).expanduser() if cache_dir else cache_folder()
    store = making.ensure(source, cache_dir=cache, progress=progress, verify=verify)
    return _dataset(source, store, val_fraction, select, seed)


def _source(name: str, data_dir: str | os.PathLike[str] | None, image_size: int | None) -> "Source":
    if image_size is not None:
        check.whole_number("image_size", image_size, at_least=1)
    path = None if data_dir is None else Path(data_dir).expanduser()
    kind, _, rest = name.partition(":")
    if name == "tiny_imagenet":
        from kd_keras.data.tiny_imagenet import source as tiny_imagenet

        return tiny_imagenet.source(data_dir=path, image_size=image_size)
    if kind == "tfds" and rest:
        from kd_keras.data import tfds_source

        return tfds_source.source(rest, data_dir=path, image_size=image_size)
    if name != "digits" and not (kind == "folder" and rest):
        is_folder = Path(name).expanduser().is_dir()
        hint = f"{name} is a folder: did you mean --dataset folder:{name}?" if is_folder else ""
        check.one_of("data set", name, _ABOUT, remedy=hint)
    if path is not None:
        raise ValueError(f"data_dir is {path}, but {name} is found without one; leave it out.")
    if name == "digits":
        from kd_keras.data import digits

        return digits.source(image_size=image_size)
    from kd_keras.data import folder

    return folder.source(Path(rest).expanduser(), image_size=image_size)


def _dataset(
    source: "Source", store: "Store", val_fraction: float | None, select: float | None, seed: int
) -> "Dataset":
    from kd_keras.data import holdout
    from kd_keras.data.store import Dataset

    train, validation = store.splits["train"], store.splits.get("validation")
    fingerprint = store.fingerprint
    if validation is not None and val_fraction is not None:
        raise ValueError(
            f"val_fraction is {val_fraction:g}, but {source.name} has a validation part; "
            f"leave it out, or give --select {val_fraction:g} to validate on a part of train."
        )
    if validation is None:
        fraction = source.val_fraction if val_fraction is None else val_fraction
        kept, held = holdout.stratified(train.labels, fraction, seed=seed)
        train, validation = train.take(kept), train.take(held)
        fingerprint += f"-val{fraction:g}.{seed}"
    if select is not None:
        kept, held = holdout.stratified(train.labels, select, seed=seed)
        train, validation = train.take(kept), train.take(held)
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
    )
