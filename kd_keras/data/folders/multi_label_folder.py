"""A user's own images of which each may have several classes: a folder with a CSV of labels."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kd_keras.data.folders import image_folder, multi_label_layout, skipped_files
from kd_keras.data.folders.multi_label_layout import Layout
from kd_keras.data.stores.make_store import Source

if TYPE_CHECKING:
    from kd_keras.data.images.image_files import ImageHeader


def source(path: Path, *, image_size: int | None, resize: str | None) -> Source:
    """The images and labels in the folder `path`; see `multi_label_layout` for its form.

    Args:
        path: the folder.
        image_size: height and width in pixels; None: see `image_folder.source`.
        resize: how images become square; None: crop.

    Raises:
        ValueError: the folder has no CSV file, or several in one place, or one cannot be read.
        FileNotFoundError: there is no such folder.
    """
    path, listing = image_folder.list_files(path, multi_label_layout.EXPECTED)
    layout = multi_label_layout.read(listing, path)
    other_files = [file for files in layout.files_without_row.values() for file in files]
    return image_folder.source(
        path,
        listing,
        layout,
        kind="multi-label folder",
        other_files=other_files,
        faults=partial(_faults, path, layout, other_files),
        notes=partial(_notes, layout, other_files),
        image_size=image_size,
        resize=resize,
    )


def _faults(
    path: Path, layout: Layout, other_files: Sequence[str], headers: Mapping[str, "ImageHeader"]
) -> list[str]:
    tables = {
        file: path / layout.tables[split]
        for split, files in layout.files.items()
        for file, _ in files
    }
    no_image_faults = [
        f"{tables[file]}, line {line}: {file} is not an image; expected one. Correct the name, or "
        "remove the row."
        for file, line in layout.lines.items()
        if not headers[file].size and not headers[file].reason
    ]
    return [
        *layout.faults,
        *multi_label_layout.without_rows(layout, {f for f in other_files if headers[f].size}, path),
        *no_image_faults,
        *image_folder.describe_unreadable(path, list(layout.lines), headers),
    ]


def _notes(
    layout: Layout, other_files: Sequence[str], headers: Mapping[str, "ImageHeader"]
) -> list[str]:
    non_images = [file for file in other_files if not headers[file].size]
    return [*layout.notes, *skipped_files.note(non_images)]
