"""Reads a folder of labelled images, whether class folders or a CSV file name the classes."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kd_keras.data import fault_report, user_files
from kd_keras.data.stores.make_store import Source
from kd_keras.data.stores.store_writer import Contents, SplitContents
from kd_keras.data.user_files import Listing

if TYPE_CHECKING:
    import tensorflow as tf

    from kd_keras.data.images.image_files import ImageHeader

    #: From each file's header to sentences on them.
    Findings = Callable[[Mapping[str, ImageHeader]], list[str]]

RESIZE = "crop"
LETTERS = "the classes are single letters or digits, which mirroring would change"


class Layout(Protocol):
    """What both layouts have."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """One name for each class."""

    @property
    def files(self) -> Mapping[str, Sequence[tuple[str, Any]]]:
        """By split, its files, images or not, each with its label, an int or a row of them."""


def list_files(path: Path, expected: str) -> tuple[Path, Listing]:
    """The resolved path of a folder, and its files.

    Raises FileNotFoundError or PermissionError, which say what is `expected` there.
    """
    path = user_files.readable_path(path, expected)
    if not path.is_dir():
        raise FileNotFoundError(f"{path} is a file; expected a folder with {expected}.")
    return path, user_files.list_files(path)


def source(
    path: Path,
    listing: Listing,
    layout: Layout,
    *,
    kind: str,
    other_files: Sequence[str],
    faults: "Findings",
    notes: "Findings",
    image_size: int | None,
    resize: str | None,
) -> Source:
    """Describes the images of a folder, which are not read yet.

    Args:
        path, listing: from `list_files`.
        layout: splits and classes.
        kind: kind of the source, for the store.
        other_files: files that belong to no split, whose headers are read too.
        faults: from the headers of all files to what makes training impossible, one sentence each.
        notes: from the same to what is left out or may surprise.
        image_size, resize: see `data.load`; None chooses.
    """
    resize = resize or RESIZE
    letters = _are_letters(layout.class_names)
    return Source(
        name=f"folder:{path}",
        kind=kind,
        settings={"path": str(path), "image_size": image_size, "resize": resize},
        state=listing.state,
        flip=not letters,
        flip_note=LETTERS if letters else "",
        resize=resize,
        digest=partial(user_files.digest, path),
        val_fraction=0.1,
        contents=lambda folder, progress: _contents(
            path, layout, other_files, faults=faults, notes=notes, size=image_size, resize=resize
        ),
    )


def _contents(
    path: Path,
    layout: Layout,
    other_files: Sequence[str],
    *,
    faults: "Findings",
    notes: "Findings",
    size: int | None,
    resize: str,
) -> Contents:
    """The images of a folder, ready to be decoded; for the arguments see `source`.

    Args:
        path: the folder.
        layout: its images by split, with their labels.
        other_files: files that are not images of a split; their headers are read for notes.
        faults: makes the list of faults from the headers.
        notes: makes the list of notes from the headers.
        size: height and width in pixels; None: see `source`.
        resize: how images become square.

    Raises:
        ValueError: there are faults; images that do not decode are then named too.
    """
    from kd_keras.data.images import decode, sizes

    members = [file for files in layout.files.values() for file, _ in files]
    headers = headers_of(path, [*members, *other_files])
    examples = {
        split: [(file, label) for file, label in files if headers[file].size]
        for split, files in layout.files.items()
    }
    records = {split: records_of(path, files) for split, files in examples.items()}
    shapes = [shape for file in members if (shape := headers[file].size)]
    max_pixels = max((height * width for height, width in shapes), default=0)
    if sentences := faults(headers):
        decoding_faults = [
            fault
            for dataset in records.values()
            for fault in decode.describe_undecodable(dataset, channels=3, max_pixels=max_pixels)
        ]
        raise fault_report.error(f"{path} has faults", [*sentences, *decoding_faults])
    size, size_notes = (size, []) if size else sizes.default_size(shapes)
    batches = partial(decode.batches, size=size, channels=3, resize=resize, max_pixels=max_pixels)
    return Contents(
        class_names=list(layout.class_names),
        splits={
            split: SplitContents(
                len(files),
                batches(records[split], other_records=_other_records(records, split)),
                [f"{path}/{file}" for file, _ in files],
            )
            for split, files in examples.items()
        },
        notes=(*notes(headers), *size_notes, *(sizes.aspect(shapes, resize) if size else [])),
    )


def headers_of(path: Path, files: Sequence[str]) -> dict[str, "ImageHeader"]:
    """The header of each file; files whose name starts with a dot are not read.

    Args:
        path: the folder.
        files: names of files, relative to it.
    """
    from kd_keras.data.images import image_files

    visible_files = [file for file in files if not file.rpartition("/")[2].startswith(".")]
    headers = image_files.read_headers([f"{path}/{file}" for file in visible_files])
    return dict.fromkeys(files, image_files.NO_IMAGE) | dict(
        zip(visible_files, headers, strict=True)
    )


def describe_unreadable(
    path: Path, members: Sequence[str], headers: Mapping[str, "ImageHeader"]
) -> list[str]:
    """A sentence on each of the files that is an image by its name and cannot be read.

    Args:
        path: the folder.
        members: names of the files, relative to it, that belong to a split.
        headers: the header of each of these files, see `headers_of`.
    """
    reasons = {file: headers[file].reason for file in members if headers[file].reason}
    return [
        f"{path}/{file} does not decode as an image ({reason})."
        + (" Allow it with --max-pixels N." if headers[file].too_large else "")
        for file, reason in reasons.items()
    ]


def records_of(path: Path, files: Sequence[tuple[str, Any]]) -> "tf.data.Dataset":
    """Records for `decode.batches` of files with their labels, each an int or a row of them.

    Args:
        path: the folder.
        files: names of files, relative to it, with the label of each.
    """
    import tensorflow as tf

    # Bytes, since a file name need not be valid text.
    names = tf.constant([os.fsencode(f"{path}/{file}") for file, _ in files], tf.string)
    labels = tf.constant([label for _, label in files], tf.int64)
    return tf.data.Dataset.from_tensor_slices((names, labels)).map(
        lambda name, label: {"image": tf.io.read_file(name), "label": label, "name": name}
    )


def _are_letters(class_names: Sequence[str]) -> bool:
    """Whether all classes are single letters or digits, which a mirrored image may not be."""
    return all(len(name) == 1 and name.isalnum() for name in class_names)


def _other_records(
    records: Mapping[str, "tf.data.Dataset"], split: str
) -> "tf.data.Dataset | None":
    """The records of all other splits."""
    other_records = None
    for name, dataset in records.items():
        if name != split:
            other_records = dataset if other_records is None else other_records.concatenate(dataset)
    return other_records
