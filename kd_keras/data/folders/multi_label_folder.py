"""A user's own images of which each may have several classes: a folder with a CSV of labels."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kd_keras.data.folders import folder_layout, image_folder, multi_label_layout
from kd_keras.data.folders.multi_label_layout import Layout
from kd_keras.data.progress import Progress
from kd_keras.data.stores.prepare import Source
from kd_keras.data.stores.store_writer import Contents

if TYPE_CHECKING:
    from kd_keras.data.images.image_files import ImageHeader


def source(path: Path, *, image_size: int | None, resize: str | None) -> Source:
    """The images and labels in the folder `path`; see `multi_label_layout` for its form.

    Raises:
        ValueError: the folder has no CSV file, or several in one place, or one cannot be read.
        FileNotFoundError: there is no such folder.
    """
    path, listing = image_folder.list_files(path, multi_label_layout.EXPECTED)
    layout = multi_label_layout.read(listing, path)
    return image_folder.source(
        path,
        listing,
        layout,
        kind="multi-label folder",
        contents=_contents,
        image_size=image_size,
        resize=resize,
    )


def _contents(
    folder: Path, progress: Progress, *, path: Path, layout: Layout, size: int | None, resize: str
) -> Contents:
    others = [file for files in layout.others.values() for file in files]
    headers = image_folder.headers_of(path, [*layout.lines, *others])
    examples = {
        split: [(file, labels) for file, labels in files if headers[file].size]
        for split, files in layout.files.items()
    }
    no_images = [file for file in others if not headers[file].size]
    return image_folder.contents(
        path,
        layout,
        examples,
        headers,
        faults=_faults(path, layout, headers),
        notes=[*layout.notes, *folder_layout.skipped(no_images)],
        size=size,
        resize=resize,
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
        *image_folder.unreadable(path, list(layout.lines), headers),
    ]
