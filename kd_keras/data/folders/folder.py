"""A user's own images: one folder for each class, or train/, val/ and test/ with such folders."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kd_keras.data.folders import folder_layout, image_folder
from kd_keras.data.folders.folder_layout import Layout, count
from kd_keras.data.progress import Progress
from kd_keras.data.stores.prepare import Source
from kd_keras.data.stores.store_writer import Contents

if TYPE_CHECKING:
    from kd_keras.data.images.image_files import ImageHeader


def source(path: Path, *, image_size: int | None, resize: str | None) -> Source:
    """The images in the folder `path`; without `image_size`, `sizes.default` chooses a size."""
    path, listing = image_folder.list_files(path, folder_layout.EXPECTED)
    layout = folder_layout.read(listing, str(path))
    return image_folder.source(
        path,
        listing,
        layout,
        kind="folder",
        contents=_contents,
        image_size=image_size,
        resize=resize,
    )


def _contents(
    folder: Path, progress: Progress, *, path: Path, layout: Layout, size: int | None, resize: str
) -> Contents:
    members = [file for files in layout.files.values() for file, _ in files]
    headers = image_folder.headers_of(path, [*members, *layout.loose])
    examples = {
        split: [(file, label) for file, label in files if headers[file].size]
        for split, files in layout.files.items()
    }
    return image_folder.contents(
        path,
        layout,
        examples,
        headers,
        faults=_faults(path, layout, members, headers),
        notes=[*layout.notes, *_skipped(layout, members, headers)],
        size=size,
        resize=resize,
    )


def _faults(
    path: Path, layout: Layout, members: Sequence[str], headers: Mapping[str, "ImageHeader"]
) -> list[str]:
    images = {file for file in members if headers[file].size or headers[file].reason}
    return [
        *layout.faults,
        *folder_layout.empty_classes(layout, images, str(path)),
        *image_folder.unreadable(path, members, headers),
    ]


def _skipped(
    layout: Layout, members: Sequence[str], headers: Mapping[str, "ImageHeader"]
) -> list[str]:
    loose_images = [file for file in layout.loose if headers[file].size]
    others = [file for file in [*members, *layout.loose] if not headers[file].size]
    notes = folder_layout.skipped(others)
    if loose_images:
        notes.append(f"not used: {count('image', loose_images)} beside the class folders")
    return notes
