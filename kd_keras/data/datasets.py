"""Opens a dataset by its name, with its hold-out, hidden labels and augmentation."""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kd_keras import check
from kd_keras.data.notes import Note
from kd_keras.data.presets import PRESETS

if TYPE_CHECKING:
    from kd_keras.data.progress import Progress
    from kd_keras.data.stores.make_store import Source
    from kd_keras.data.stores.store import Dataset

DEFAULT_CACHE = "~/.cache/kd_keras"
LABEL_MODES = ("single", "multi")  # how many classes an image has
RESIZES = ("crop", "pad", "squash")  # a copy of those in `resizing`, which imports TensorFlow
_LOG = logging.getLogger("kd_keras")

_ABOUT = {
    "tiny_imagenet": "Tiny ImageNet: 200 classes, 64x64; downloads 237 MiB without --data-dir",
    "digits": "scikit-learn's digits: 10 classes, 8x8, grey; embedded, needs no network",
    "folder:PATH": "your own images: one folder a class, or train/, val/ and test/ folders of them",
    "tfds:NAME": "any image classification dataset of TensorFlow Datasets, such as tfds:cifar100",
}


def names() -> tuple[str, ...]:
    """Names of the datasets; PATH and NAME are placeholders."""
    return tuple(_ABOUT)


def describe(name: str) -> str:
    """One line about a dataset of `names()`."""
    return _ABOUT[check.one_of("dataset", name, _ABOUT)]


def cache_folder() -> Path:
    """Folder of stores, teacher caches and scores: $KD_KERAS_CACHE, or `DEFAULT_CACHE`."""
    return Path(os.environ.get("KD_KERAS_CACHE") or DEFAULT_CACHE).expanduser()


def load(
    name: str,
    *,
    label_mode: str = "single",
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    store_size: int | None = None,
    eval_crop: float = 1.0,
    resize: str | None = None,
    flip: bool | None = None,
    augment: str = "light",
    mixup: float = 0.0,
    cutmix: float = 0.0,
    val_fraction: float | None = None,
    train_holdout: float | None = None,
    max_pixels: int | None = None,
    seed: int = 0,
    labels_per_class: int | None = None,
    labels_seed: int = 0,
    unlabelled: Sequence[str] = (),
    cache_dir: str | os.PathLike[str] | None = None,
    progress: "Progress | None" = None,
    verify: bool = False,
    tell: Callable[[str], None] | None = None,
) -> "Dataset":
    """Opens a dataset by name; its store is made first if there is none.

    Args:
        name: one of `names()`.
        label_mode: "single", each image has one class; or "multi", it may have several or none: a
            folder with a CSV file of labels, see `multi_label_layout`.
        data_dir: folder of the dataset's own files, for tiny_imagenet (the archive or extracted
            folder; no network is needed then) and tfds:NAME (TensorFlow Datasets' data_dir).
        image_size: pixels a side; None keeps the size of the images. Images of a folder or of
            tfds:NAME that have several sizes, or one above 512, get the median of their shorter
            sides, at most 224.
        store_size: pixels a side of stored images, from which the step `resized_crop` cuts. None
            is `image_size`, and `image_size` / 0.875 if one is chosen for a folder or tfds:NAME and
            `augment` has that step.
        eval_crop: side of the middle that evaluation uses of a larger stored image, as a share.
        resize: how an image that is not square is made square: "crop" cuts its centre out, "pad"
            adds black borders, "squash" changes its aspect ratio. None is the dataset's default
            (tfds:NAME "squash", others "crop").
        flip: whether training mirrors images at random. None is the dataset's default: no for
            digits, characters and folders whose classes are single letters or digits; else yes.
        augment: what training does to images: "none", "light" (crops and mirroring), "standard"
            (crops of random size, mirroring), "strong" (standard, RandAugment, erasing), or steps,
            see `augmentation.grammar`. The names mirror images where `flip` says so.
        mixup, cutmix: alpha of the Beta distribution from which the shares come in which images are
            mixed; 0 is none.
        val_fraction: share of train to validate on, for a dataset without a validation split;
            None is the dataset's default (digits 0.2, others 0.1).
        train_holdout: share of train, stratified, that replaces the validation split while you
            choose settings; None replaces nothing.
        max_pixels: pixels of the largest image to decode, against files made to fill the memory;
            None: 178,956,970. A larger one is a fault.
        seed: seed of both hold-outs. With the same seed, all runs validate on the same examples.
        labels_per_class: images of each class whose label `train` keeps; the labels of the others
            are unknown (-1), and `train_with_all_labels` has them. None hides none.
        labels_seed: seed of the choice of these images.
        unlabelled: images without labels that join `train`: "folder:PATH", any folder of images, or
            "tfds:NAME".
        cache_dir: folder of the stores; None is $KD_KERAS_CACHE or ~/.cache/kd_keras.
        progress: `progress(task, total)` is a context manager that gives `advance(count)`; None
            shows nothing.
        verify: whether to compare the store, and the files that it was made from, with their
            hashes, at about 1 GB/s.
        tell: function that is called with each note of the `Dataset`; None logs the notes as
            warnings of the logger "kd_keras".

    Raises:
        ValueError, FileNotFoundError: the name, the data or an option is wrong.
    """
    from kd_keras.data import assembly
    from kd_keras.data.augmentation import policy_of
    from kd_keras.data.images import image_files
    from kd_keras.data.stores import make_store, stored_sizes
    from kd_keras.data.unlabelled import require_source

    mixing = {"mixup": mixup, "cutmix": cutmix}
    resizes = policy_of(augment, crop_padding=0, flip=False, **mixing).resizes
    sizes = {"image_size": image_size, "store_size": store_size}
    stored_side = stored_sizes.stored_size(name, **sizes, crop=eval_crop, resizes=resizes)
    check.one_of("label_mode", label_mode, LABEL_MODES)
    source = _source(name, label_mode, data_dir, stored_side or image_size, resize)
    for unlabelled_name in unlabelled:
        require_source(unlabelled_name)  # before a download, which takes minutes
    cache = Path(cache_dir).expanduser() if cache_dir else cache_folder()
    pixel_limit = image_files.MAX_PIXELS if max_pixels is None else max_pixels
    check.whole_number("max_pixels", pixel_limit, at_least=1)
    with image_files.pixel_limit(pixel_limit):
        store = make_store.ensure(source, cache_dir=cache, progress=progress, verify=verify)
    make_store.check_names(source.name, store.class_names)  # of a store of before too
    dataset = assembly.from_store(source, store, val_fraction, train_holdout, seed)
    flips = store.augment.flip if flip is None else flip
    padding = store.augment.crop_padding
    policy = policy_of(augment, crop_padding=padding, flip=flips, **mixing)
    dataset = replace(dataset, augment=policy)
    if stored_side and image_size:
        dataset = stored_sizes.trained_at(dataset, image_size, eval_crop)
    if labels_per_class is not None:
        dataset = assembly.with_hidden_labels(dataset, labels_per_class, labels_seed)
    if unlabelled:
        tfds_dir = data_dir if name.startswith("tfds:") else None
        options = {"cache_dir": cache, "progress": progress, "verify": verify}
        with image_files.pixel_limit(pixel_limit):
            dataset = assembly.with_unlabelled(dataset, unlabelled, data_dir=tfds_dir, **options)
    if flip is None and source.flip_note and augment in PRESETS and augment != "none":
        flip_note = Note(f"mirroring is off: {source.flip_note} (--flip turns it on)", "train")
        dataset = replace(dataset, notes=(*dataset.notes, flip_note))
    for note in dataset.notes:
        (tell or _LOG.warning)(note)
    return dataset


def _source(
    name: str,
    label_mode: str,
    data_dir: str | os.PathLike[str] | None,
    image_size: int | None,
    resize: str | None,
) -> "Source":
    if image_size is not None:
        check.whole_number("image_size", image_size, at_least=1)
    if resize is not None:
        check.one_of("resize", resize, RESIZES)
    path = None if data_dir is None else Path(data_dir).expanduser()
    kind, _, location = name.partition(":")
    if label_mode == "multi" and not (kind == "folder" and location):
        raise ValueError(
            f"label_mode is 'multi', and {name} has one class for each image; expected "
            "folder:PATH, images with a CSV file of labels. Leave --label-mode out, or give such a "
            "folder."
        )
    if name == "tiny_imagenet":
        from kd_keras.data.tiny_imagenet import tiny_imagenet_source

        return tiny_imagenet_source.source(data_dir=path, image_size=image_size, resize=resize)
    if kind == "tfds" and location:
        from kd_keras.data.tfds import tfds_source

        return tfds_source.source(location, data_dir=path, image_size=image_size, resize=resize)
    if name != "digits" and not (kind == "folder" and location):
        is_folder = Path(name).expanduser().is_dir()
        hint = f"{name} is a folder: did you mean --dataset folder:{name}?" if is_folder else ""
        check.one_of("dataset", name, _ABOUT, remedy=hint)
    if path is not None:
        raise ValueError(f"data_dir is {path}; expected none for {name}. Leave --data-dir out.")
    if name == "digits":
        from kd_keras.data import digits

        return digits.source(image_size=image_size, resize=resize)
    from kd_keras.data.folders import folder, multi_label_folder

    describe_files = multi_label_folder.source if label_mode == "multi" else folder.source
    return describe_files(Path(location).expanduser(), image_size=image_size, resize=resize)
