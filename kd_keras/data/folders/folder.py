"""A user's own images: one folder for each class, or train/, val/ and test/ with such folders."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kd_keras.data import fault_report, user_files
from kd_keras.data.folders import folder_layout
from kd_keras.data.folders.folder_layout import Layout, count
from kd_keras.data.progress import Progress
from kd_keras.data.stores.prepare import Source
from kd_keras.data.stores.store_writer import Contents, Part

if TYPE_CHECKING:
    import tensorflow as tf

    from kd_keras.data.images.image_files import ImageHeader

RESIZE = "crop"
LETTERS = "the classes are single letters or digits, which mirroring would change"


def source(path: Path, *, image_size: int | None, resize: str | None) -> Source:
    """The images in the folder `path`; without `image_size`, `sizes.default` chooses a size."""
    path = user_files.readable(path, folder_layout.EXPECTED)
    if not path.is_dir():
        raise FileNotFoundError(
            f"{path} is a file; expected a folder with {folder_layout.EXPECTED}."
        )
    listing = user_files.list_files(path)
    layout = folder_layout.read(listing, str(path))
    resize = resize or RESIZE
    letters = are_letters(layout.class_names)
    return Source(
        name=f"folder:{path}",
        kind="folder",
        settings={"path": str(path), "image_size": image_size, "resize": resize},
        state=listing.state,
        flip=not letters,
        flip_note=LETTERS if letters else "",
        resize=resize,
        digest=partial(user_files.digest, path),
        val_fraction=0.1,
        contents=partial(_contents, path=path, layout=layout, size=image_size, resize=resize),
    )


def _contents(
    folder: Path, progress: Progress, *, path: Path, layout: Layout, size: int | None, resize: str
) -> Contents:
    from kd_keras.data.images import decode, sizes

    members = [file for files in layout.files.values() for file, _ in files]
    headers = headers_of(path, [*members, *layout.loose])
    images = {file for file in members if headers[file].size}
    examples = {
        split: [(file, label) for file, label in files if file in images]
        for split, files in layout.files.items()
    }
    records = {split: records_of(path, examples[split]) for split in examples}
    faults = _faults(path, layout, members, headers)
    shapes = [shape for file in members if (shape := headers[file].size)]
    most_pixels = max((height * width for height, width in shapes), default=0)
    if faults:
        for dataset in records.values():
            faults += decode.undecodable(dataset, channels=3, most_pixels=most_pixels)
        raise fault_report.error(f"{path} has faults", faults)
    size, size_notes = (size, []) if size else sizes.default(shapes)
    batches = partial(decode.batches, size=size, channels=3, resize=resize, most_pixels=most_pixels)
    return Contents(
        class_names=list(layout.class_names),
        parts={
            split: Part(
                len(dataset),
                batches(dataset, other_records=others(records, split)),
                [f"{path}/{file}" for file, _ in examples[split]],
            )
            for split, dataset in records.items()
        },
        notes=(
            *layout.notes,
            *_skipped(layout, members, headers),
            *size_notes,
            *(sizes.aspect(shapes, resize) if size else []),
        ),
    )


def are_letters(class_names: Sequence[str]) -> bool:
    """Whether all classes are single letters or digits, which a mirrored image may not be."""
    return all(len(name) == 1 and name.isalnum() for name in class_names)


def headers_of(path: Path, files: list[str]) -> dict[str, "ImageHeader"]:
    """The header of each file; files whose name starts with a dot are not read."""
    from kd_keras.data.images import image_files

    visible = [file for file in files if not file.rpartition("/")[2].startswith(".")]
    headers = image_files.read_headers([f"{path}/{file}" for file in visible])
    return dict.fromkeys(files, image_files.NO_IMAGE) | dict(zip(visible, headers, strict=True))


def _faults(
    path: Path, layout: Layout, members: Sequence[str], headers: dict[str, "ImageHeader"]
) -> list[str]:
    images = {file for file in members if headers[file].size or headers[file].reason}
    return [
        *layout.faults,
        *folder_layout.empty_classes(layout, images, str(path)),
        *unreadable(path, members, headers),
    ]


def unreadable(path: Path, members: Sequence[str], headers: dict[str, "ImageHeader"]) -> list[str]:
    """A sentence on each of the files that is an image by its name and cannot be read."""
    reasons = {file: headers[file].reason for file in members if headers[file].reason}
    return [
        f"{path}/{file} does not decode as an image ({why})."
        + (" Allow it with --max-pixels N." if headers[file].too_large else "")
        for file, why in reasons.items()
    ]


def _skipped(layout: Layout, members: list[str], headers: dict[str, "ImageHeader"]) -> list[str]:
    loose_images = [file for file in layout.loose if headers[file].size]
    others = [file for file in [*members, *layout.loose] if not headers[file].size]
    notes = folder_layout.skipped(others)
    if loose_images:
        notes.append(f"not used: {count('image', loose_images)} beside the class folders")
    return notes


def records_of(path: Path, files: Sequence[tuple[str, Any]]) -> "tf.data.Dataset":
    """Records for `decode.batches` of files with their labels, each an int or a row of them."""
    import tensorflow as tf

    # Bytes, since a file name need not be valid text.
    names = tf.constant([os.fsencode(f"{path}/{file}") for file, _ in files], tf.string)
    labels = tf.constant([label for _, label in files], tf.int64)
    return tf.data.Dataset.from_tensor_slices((names, labels)).map(
        lambda name, label: {"image": tf.io.read_file(name), "label": label, "name": name}
    )


def others(records: dict[str, "tf.data.Dataset"], split: str) -> "tf.data.Dataset | None":
    """The records of all other splits."""
    joined = None
    for name, dataset in records.items():
        if name != split:
            joined = dataset if joined is None else joined.concatenate(dataset)
    return joined
