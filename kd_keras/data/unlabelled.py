"""Images without labels that join the training images: any folder of images, or a TFDS dataset."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras.data import fault_report, user_files
from kd_keras.data.fault_report import number_of
from kd_keras.data.folders import image_folder, skipped_files
from kd_keras.data.progress import Progress
from kd_keras.data.stores.joined_images import JoinedImages
from kd_keras.data.stores.make_store import Source
from kd_keras.data.stores.store import UNKNOWN, Dataset, Split, Store
from kd_keras.data.stores.store_writer import Contents, SplitContents

Shape = tuple[int, ...]
EXPECTED = "a folder of images, also in folders within it"
FORMS = "folder:PATH or tfds:NAME"
# Splits of a TFDS dataset that have no labels, as stl10 has one; without these, train is used.
_SPLITS = ("unlabelled", "unlabeled", "unsupervised")


def source(name: str, *, shape: Shape, resize: str, data_dir: Path | None = None) -> Source:
    """Describes images without labels that are not read yet.

    Their labels, if they have some, are not read. Grey images become three equal channels for a
    dataset of colours, and colours become grey for a grey one.

    Args:
        name: "folder:PATH" or "tfds:NAME".
        shape: (H, W, C) of the images that they join, as stored.
        resize: how an image that is not square is made square, see `resizing.resized`.
        data_dir: TensorFlow Datasets' folder, for tfds:NAME; None is its default.

    Raises:
        ValueError: another name, or a shape that is not square.
        FileNotFoundError: no such folder.
    """
    height, width, channels = shape
    if height != width:
        raise ValueError(
            f"the training images are {height}x{width}; expected square ones beside unlabelled "
            f"images. Give --image-size, such as {min(height, width)}."
        )
    require_source(name)
    kind, _, location = name.partition(":")
    settings: dict[str, Any] = {"image_size": height, "channels": channels, "resize": resize}
    if kind == "folder" and location:
        return _folder(Path(location).expanduser(), settings)
    return _tfds(location, data_dir, settings)


def require_source(name: str) -> None:
    """Raises ValueError for another name than "folder:PATH" or "tfds:NAME".

    Raises FileNotFoundError or PermissionError if there is no such folder.
    """
    kind, _, location = name.partition(":")
    if kind not in ("folder", "tfds") or not location:
        hint = f" Give folder:{name}." if Path(name).expanduser().is_dir() else ""
        raise ValueError(
            f"unlabelled is {name!r}; expected {FORMS}.{hint or ' Give one of these.'}"
        )
    if kind == "folder":
        path = user_files.readable_path(Path(location).expanduser(), EXPECTED)
        if not path.is_dir():
            raise FileNotFoundError(f"{path} is a file; expected {EXPECTED}.")


def require_others(data: Dataset, stores: Mapping[str, Store]) -> None:
    """Raises ValueError if a store holds training or validation images, or those of another store.

    The student would learn from an image twice, or from one that it is validated on. Images are
    known by their files, and those of TensorFlow Datasets by the dataset's name. Copies of an image
    in other files are not noticed.

    Args:
        data: the dataset that the stores' images will join.
        stores: images without labels by the name of their source.
    """
    data_files = [name for split in (data.train, data.validation) for name in split.names() or ()]
    data_of_file = dict.fromkeys(data_files, data.name)
    for name, store in stores.items():
        files = store.splits["train"].names() or []
        shared_files = [file for file in files if file in data_of_file]
        if shared_files or (name == data.name and store.notes == (_split_note("train"),)):
            images = (
                f"{len(shared_files):,} of the images" if shared_files else "the training images"
            )
            example = f", such as {shared_files[0]}" if shared_files else ""
            raise ValueError(
                f"--unlabelled {name} holds {images} of "
                f"{data_of_file[shared_files[0]] if shared_files else data.name}{example}; "
                "expected images that are not used yet. Give others; to hide labels of a dataset's "
                "own images, give --labels-per-class N."
            )
        data_of_file |= dict.fromkeys(files, name)


def joined(split: Split, stores: Sequence[Store]) -> Split:
    """The examples of the split, followed by all images of the stores with unknown labels.

    Ids of the split stay; those of the stores' images follow on the last row of its file. The
    fingerprint is that of the split's store, a dash, and a hash of the others' fingerprints.

    Args:
        split: the training examples.
        stores: stores of images without labels, of the same shape.
    """
    added_splits = [store.splits["train"] for store in stores]
    firsts = np.cumsum(
        [len(split.images), *(len(added_split.images) for added_split in added_splits)]
    )
    ids = [
        first + added_split.ids for first, added_split in zip(firsts, added_splits, strict=False)
    ]
    added_fingerprint = hashlib.sha256(
        "+".join(added_split.fingerprint for added_split in added_splits).encode()
    ).hexdigest()[:16]
    label_shape = split.labels.shape[1:]  # (C,) of multi-label data
    unknown_labels = [
        np.full((len(added_split), *label_shape), UNKNOWN, split.labels.dtype)
        for added_split in added_splits
    ]
    return replace(
        split,
        images=JoinedImages([split.images, *(added_split.images for added_split in added_splits)]),
        labels=np.concatenate([split.labels, *unknown_labels]),
        ids=np.concatenate([split.ids, *ids]),
        fingerprint=f"{split.fingerprint}-{added_fingerprint}",
        names_file=None,
    )


def _folder(path: Path, settings: dict[str, Any]) -> Source:
    path = user_files.readable_path(path, EXPECTED)
    listing = user_files.list_files(path)
    names = [file.name for file in listing.files]
    return _source(
        f"folder:{path}",
        {**settings, "path": str(path)},
        listing.state,
        partial(
            _folder_contents,
            path=path,
            names=names,
            hidden_folders=listing.hidden,
            settings=settings,
        ),
        digest=partial(user_files.digest, path),
    )


def _folder_contents(
    temporary: Path,
    progress: Progress,
    *,
    path: Path,
    names: list[str],
    hidden_folders: Sequence[str],
    settings: dict[str, Any],
) -> Contents:
    from kd_keras.data.images import decode

    headers = image_folder.headers_of(path, names)
    images = [name for name in names if headers[name].size]
    faults = image_folder.describe_unreadable(path, names, headers)
    if not images and not faults:
        faults = [f"it holds {number_of('file', names)}, and none is an image."]
    if faults:
        raise fault_report.error(f"{path} has faults", faults)
    sizes = [size for name in images if (size := headers[name].size)]
    batches = decode.batches(
        image_folder.records_of(path, [(name, UNKNOWN) for name in images]),
        size=settings["image_size"],
        channels=settings["channels"],
        resize=settings["resize"],
        max_pixels=max(height * width for height, width in sizes),
    )
    notes = skipped_files.note([name for name in names if not headers[name].size])
    if hidden_folders:
        notes.append(f"skipped {number_of('hidden folder', hidden_folders)}")
    paths = [f"{path}/{name}" for name in images]
    return Contents([], {"train": SplitContents(len(images), batches, paths)}, tuple(notes))


def _tfds(name: str, data_dir: Path | None, settings: dict[str, Any]) -> Source:
    from kd_keras.data.tfds import tfds_source

    builder = tfds_source.builder_of(name, data_dir)
    return _source(
        f"tfds:{name}",
        {**settings, "name": builder.info.full_name},
        builder.info.full_name,
        partial(_tfds_contents, builder=builder, settings=settings),
    )


def _tfds_contents(
    temporary: Path, progress: Progress, *, builder: Any, settings: dict[str, Any]
) -> Contents:
    from kd_keras.data.tfds import tfds_records, tfds_source

    tfds_source.prepare_files(builder, progress)
    split_names = list(builder.info.splits)
    split = next((name for name in (*_SPLITS, "train") if name in split_names), None)
    if split is None:
        raise ValueError(
            f"tfds:{builder.info.name} has the splits {split_names}; expected one of "
            f"{', '.join((*_SPLITS, 'train'))}. Choose another dataset."
        )
    split_contents = tfds_records.read_split(
        builder,
        split,
        size=settings["image_size"],
        channels=settings["channels"],
        resize=settings["resize"],
        image=tfds_source.image_key(builder),
    )
    return Contents([], {"train": split_contents}, (_split_note(split),))


def _split_note(split: str) -> str:
    return f"its split {split}"


def _source(
    name: str, settings: dict[str, Any], state: str, contents: Any, **other_fields: Any
) -> Source:
    """A source of images without labels.

    Args:
        name: name of the dataset, with its prefix.
        settings: what the store depends on.
        state: state of the files, to notice changes.
        contents: reads the images.
    """
    return Source(
        name=name,
        kind=f"unlabelled {name.partition(':')[0]}",
        settings=settings,
        state=state,
        flip=False,  # follows from the dataset that they join
        val_fraction=0.0,
        contents=contents,
        resize=settings["resize"],
        labelled=False,
        **other_fields,
    )
