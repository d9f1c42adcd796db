"""A user's own images: a folder a class, or train/, val/ and test/ folders of such folders."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kd_keras.data import complaints, folder_layout, user_files
from kd_keras.data.folder_layout import Layout, count
from kd_keras.data.prepare import Source
from kd_keras.data.progress import Progress
from kd_keras.data.store_writer import Contents, Part

if TYPE_CHECKING:
    import tensorflow as tf

    from kd_keras.data.image_files import Look

RESIZE = "crop"
_LETTERS = "the classes are single letters or digits, which mirroring would change"


def source(path: Path, *, image_size: int | None, resize: str | None) -> Source:
    """Images below `path`; without `image_size`, see `sizes.default`."""
    path = user_files.readable(path, folder_layout.EXPECTED)
    if not path.is_dir():
        raise FileNotFoundError(
            f"{path} is a file; expected a folder with {folder_layout.EXPECTED}."
        )
    files = user_files.of(path)
    layout = folder_layout.of(files, str(path))
    resize = resize or RESIZE
    letters = all(len(name) == 1 and name.isalnum() for name in layout.class_names)
    return Source(
        name=f"folder:{path}",
        kind="folder",
        settings={"path": str(path), "image_size": image_size, "resize": resize},
        state=files.state,
        flip=not letters,
        flip_note=_LETTERS if letters else "",
        resize=resize,
        digest=partial(user_files.digest, path),
        val_fraction=0.1,
        contents=partial(_contents, path=path, layout=layout, size=image_size, resize=resize),
    )


def _contents(
    folder: Path, progress: Progress, *, path: Path, layout: Layout, size: int | None, resize: str
) -> Contents:
    from kd_keras.data import decode, sizes

    members = [file for files in layout.files.values() for file, _ in files]
    looks = _looks(path, [*members, *layout.loose])
    images = {file for file in members if looks[file].size}
    records = {
        split: _records(path, [(file, label) for file, label in files if file in images])
        for split, files in layout.files.items()
    }
    faults = _faults(path, layout, members, looks)
    if faults:
        for of_split in records.values():
            faults += decode.undecodable(of_split, channels=3)
        raise complaints.error(f"{path} has faults", faults)
    shapes = [shape for file in members if (shape := looks[file].size)]
    size, size_notes = (size, []) if size else sizes.default(shapes)
    batches = partial(decode.batches, size=size, channels=3, resize=resize)
    return Contents(
        class_names=list(layout.class_names),
        parts={
            split: Part(len(of_split), batches(of_split, beside=_others(records, split)))
            for split, of_split in records.items()
        },
        notes=(
            *layout.notes,
            *_skipped(layout, members, looks),
            *size_notes,
            *(sizes.aspect(shapes, resize) if size else []),
        ),
    )


def _looks(path: Path, files: list[str]) -> dict[str, "Look"]:
    """What each file is; those with a dot in front are not looked at."""
    from kd_keras.data import image_files

    visible = [file for file in files if not file.rpartition("/")[2].startswith(".")]
    looks = image_files.survey([f"{path}/{file}" for file in visible])
    return dict.fromkeys(files, image_files.Look(None)) | dict(zip(visible, looks, strict=True))


def _faults(
    path: Path, layout: Layout, members: Sequence[str], looks: dict[str, "Look"]
) -> list[str]:
    broken = {file: looks[file].reason for file in members if looks[file].reason}
    intended = {file for file in members if looks[file].size} | set(broken)
    return [
        *layout.faults,
        *folder_layout.empty_classes(layout, intended, str(path)),
        *(f"{path}/{file} does not decode as an image ({why})." for file, why in broken.items()),
    ]


def _skipped(layout: Layout, members: Sequence[str], looks: dict[str, "Look"]) -> list[str]:
    loose_images = [file for file in layout.loose if looks[file].size]
    others = [file for file in [*members, *layout.loose] if not looks[file].size]
    notes = folder_layout.skipped(others)
    if loose_images:
        notes.append(f"not used: {count('image', loose_images)} beside the class folders")
    return notes


def _records(path: Path, files: Sequence[tuple[str, int]]) -> "tf.data.Dataset":
    import tensorflow as tf

    # Bytes: a file name need not be text.
    names = tf.constant([os.fsencode(f"{path}/{file}") for file, _ in files], tf.string)
    labels = tf.constant([label for _, label in files], tf.int64)
    return tf.data.Dataset.from_tensor_slices((names, labels)).map(
        lambda name, label: {"image": tf.io.read_file(name), "label": label, "name": name}
    )


def _others(records: dict[str, "tf.data.Dataset"], split: str) -> "tf.data.Dataset | None":
    """The records of all other splits."""
    beside = None
    for name, of_split in records.items():
        if name != split:
            beside = of_split if beside is None else beside.concatenate(of_split)
    return beside
