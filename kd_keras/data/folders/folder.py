"""A user's own images: one folder for each class, or train/, val/ and test/ with such folders."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kd_keras.data.fault_report import number_of
from kd_keras.data.folders import folder_layout, image_folder, skipped_files
from kd_keras.data.folders.folder_layout import Layout
from kd_keras.data.stores.make_store import Source

if TYPE_CHECKING:
    from kd_keras.data.images.image_files import ImageHeader


def source(path: Path, *, image_size: int | None, resize: str | None) -> Source:
    """The images in the folder `path`; `image_size` None: `sizes.default_size` chooses it.

    Args:
        path: the folder.
        image_size: pixels a side that images are stored at; None: `sizes.default_size` chooses.
        resize: how an image that is not square is made square; None chooses.
    """
    path, listing = image_folder.list_files(path, folder_layout.EXPECTED)
    layout = folder_layout.read(listing, str(path))
    members = [file for files in layout.files.values() for file, _ in files]
    return image_folder.source(
        path,
        listing,
        layout,
        kind="folder",
        other_files=layout.loose,
        faults=partial(_faults, path, layout, members),
        notes=partial(_notes, layout, members),
        image_size=image_size,
        resize=resize,
    )


def _faults(
    path: Path, layout: Layout, members: Sequence[str], headers: Mapping[str, "ImageHeader"]
) -> list[str]:
    """What makes training impossible, a sentence for each fault.

    Args:
        path: the folder.
        layout: splits and classes.
        members: files of the splits.
        headers: format and size of each file.
    """
    images = {file for file in members if headers[file].size or headers[file].reason}
    return [
        *layout.faults,
        *folder_layout.empty_classes(layout, images, str(path)),
        *image_folder.describe_unreadable(path, members, headers),
    ]


def _notes(
    layout: Layout, members: Sequence[str], headers: Mapping[str, "ImageHeader"]
) -> list[str]:
    """What is skipped or not used, a sentence for each.

    Args:
        layout: splits and classes.
        members: files of the splits.
        headers: format and size of each file.
    """
    loose_images = [file for file in layout.loose if headers[file].size]
    non_images = [file for file in [*members, *layout.loose] if not headers[file].size]
    notes = [*layout.notes, *skipped_files.note(non_images)]
    if loose_images:
        notes.append(f"not used: {number_of('image', loose_images)} beside the class folders")
    return notes
