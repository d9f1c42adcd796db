"""A user's own images of which each may have several classes: a folder with a CSV of labels."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kd_keras.data import fault_report, user_files
from kd_keras.data.folders import folder, folder_layout, multi_label_layout
from kd_keras.data.folders.multi_label_layout import Layout
from kd_keras.data.progress import Progress
from kd_keras.data.stores.prepare import Source
from kd_keras.data.stores.store_writer import Contents, Part

if TYPE_CHECKING:
    from kd_keras.data.images.image_files import ImageHeader


def source(path: Path, *, image_size: int | None, resize: str | None) -> Source:
    """The images and labels in the folder `path`; see `multi_label_layout` for its form.

    Raises:
        ValueError: the folder has no CSV file, or several in one place, or one cannot be read.
        FileNotFoundError: there is no such folder.
    """
    path = user_files.readable(path, multi_label_layout.EXPECTED)
    if not path.is_dir():
        raise FileNotFoundError(
            f"{path} is a file; expected a folder with {multi_label_layout.EXPECTED}."
        )
    listing = user_files.list_files(path)
    layout = multi_label_layout.read(listing, path)
    resize = resize or folder.RESIZE
    letters = folder.are_letters(layout.class_names)
    return Source(
        name=f"folder:{path}",
        kind="multi-label folder",
        settings={"path": str(path), "image_size": image_size, "resize": resize},
        state=listing.state,
        flip=not letters,
        flip_note=folder.LETTERS if letters else "",
        resize=resize,
        digest=partial(user_files.digest, path),
        val_fraction=0.1,
        contents=partial(_contents, path=path, layout=layout, size=image_size, resize=resize),
    )


def _contents(
    temporary: Path,
    progress: Progress,
    *,
    path: Path,
    layout: Layout,
    size: int | None,
    resize: str,
) -> Contents:
    from kd_keras.data.images import decode, sizes

    others = [file for files in layout.others.values() for file in files]
    headers = folder.headers_of(path, [*layout.lines, *others])
    records = {
        split: folder.records_of(path, [example for example in files if headers[example[0]].size])
        for split, files in layout.files.items()
    }
    shapes = [shape for file in layout.lines if (shape := headers[file].size)]
    most_pixels = max((height * width for height, width in shapes), default=0)
    faults = _faults(path, layout, headers)
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
                len(files),
                batches(records[split], other_records=folder.others(records, split)),
                [f"{path}/{file}" for file, _ in files],
            )
            for split, files in layout.files.items()
        },
        notes=(
            *layout.notes,
            *folder_layout.skipped([file for file in others if not headers[file].size]),
            *size_notes,
            *(sizes.aspect(shapes, resize) if size else []),
        ),
    )


def _faults(path: Path, layout: Layout, headers: Mapping[str, "ImageHeader"]) -> list[str]:
    others = {file for files in layout.others.values() for file in files}
    tables = {
        file: path / layout.tables[split]
        for split, files in layout.files.items()
        for file, _ in files
    }
    no_images = [
        f"{tables[file]}, line {line}: {file} is no image; expected one. Correct the name, or "
        "remove the row."
        for file, line in layout.lines.items()
        if not headers[file].size and not headers[file].reason
    ]
    return [
        *layout.faults,
        *multi_label_layout.without_rows(layout, {f for f in others if headers[f].size}, path),
        *no_images,
        *folder.unreadable(path, list(layout.lines), dict(headers)),
    ]
