"""Which files of a user's folder belong to which split and class; notes name the other files."""

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from kd_keras.data.fault_report import number_of, shortened
from kd_keras.data.notes import Note
from kd_keras.data.user_files import Listing

EXPECTED = (
    "one folder of images a class, or train/ and val/ folders (perhaps test/) of such folders"
)
# Names of split folders, in any case. If a split has several, the first in this order is used.
_TRAIN = ("train", "training")
_VALIDATION = ("val", "valid", "validation", "dev")
_TEST = ("test", "testing")
_SPLITS = _TRAIN + _VALIDATION + _TEST


@dataclass(frozen=True)
class Layout:
    """The splits of a folder; file and folder names are relative to it.

    Attributes:
        class_names: the classes of train, sorted: one for each label.
        split_folder_of: by split, the folder that holds its class folders; "" is the whole folder.
        classes: label of each class folder, in every split.
        files: by split, (file, label) of all files in class folders, images or not.
        loose: files beside the class folders, which have no class.
        notes: what else is not used, one sentence each.
        faults: what makes training impossible, one sentence each.
    """

    class_names: tuple[str, ...]
    split_folder_of: dict[str, str]
    classes: dict[str, int]
    files: dict[str, list[tuple[str, int]]]
    loose: list[str]
    notes: list[str]
    faults: list[str]


def read(listing: Listing, root: str) -> Layout:
    """Finds splits and classes in a listing; `root` is its path, for notes and faults."""
    split_folder_of = _split_folder_of(listing)
    names = sorted({class_name(folder) for folder in listing.folders_in(split_folder_of["train"])})
    notes = _unused_notes(listing, split_folder_of, root) + _splits_within_classes(
        listing, split_folder_of["train"]
    )
    faults = _only_splits(listing, split_folder_of["train"], root)
    faults = faults or _class_count_faults(listing, split_folder_of["train"], root)
    unknown_folders = _unknown_class_folders(listing, split_folder_of.get("test"), names)
    if unknown_folders:
        del split_folder_of["test"]
        notes.append(
            Note(f"test split not used: {_unknown_class_message(unknown_folders, root)}", "test")
        )
    unknown_folders = _unknown_class_folders(listing, split_folder_of.get("validation"), names)
    if unknown_folders:
        faults.append(
            f"{_unknown_class_message(unknown_folders, root)}; expected only classes of train: "
            f"{', '.join(shortened(names, 5))}. Add images of them to train, or take them out."
        )
    notes += _validation_notes(listing, split_folder_of.get("validation"), names)
    labels = {name: label for label, name in enumerate(names)}
    classes = {
        folder: labels[class_name(folder)]
        for split_folder in split_folder_of.values()
        for folder in listing.folders_in(split_folder)
        if class_name(folder) in labels
    }
    files, loose = _files(listing, split_folder_of, classes)
    return Layout(tuple(names), split_folder_of, classes, files, loose, notes, faults)


def class_name(folder: str) -> str:
    """Name of a class folder in NFC, since operating systems compose accents differently."""
    folder_name = os.fsencode(folder.rpartition("/")[2]).decode(errors="replace")
    return unicodedata.normalize("NFC", folder_name)


def empty_classes(layout: Layout, images: set[str], root: str) -> list[str]:
    """One fault that names all class folders without an image; empty if there are none.

    Args:
        layout: layout of the folder.
        images: the files of the layout that are images.
        root: path of the folder.
    """
    depth = {
        split: split_folder.count("/") + bool(split_folder)
        for split, split_folder in layout.split_folder_of.items()
    }
    filled_folders = {
        "/".join(file.split("/")[: depth[split] + 1])
        for split, files in layout.files.items()
        for file, _ in files
        if file in images
    }
    empty_folders = [
        f"{root}/{folder}" for folder in layout.classes if folder not in filled_folders
    ]
    if not empty_folders:
        return []
    if len(empty_folders) == len(layout.classes):
        return [f"{root} holds no images; expected {EXPECTED}. Check the path."]
    return [
        f"{number_of('class folder', empty_folders)} without an image: "
        f"{', '.join(shortened(empty_folders))}; expected one or more in each. Put images in, or "
        "take the folders out."
    ]


def _split_folder_of(listing: Listing) -> dict[str, str]:
    tops = listing.folders_in("")
    return split_folders([folder for folder in tops if listing.folders_in(folder)])


def split_folders(folders: list[str]) -> dict[str, str]:
    """The folder of each split among these; "" as train, the whole folder, if none is train's."""
    train = _first(folders, _TRAIN)
    if train is None:
        return {"train": ""}
    other_splits = {"validation": _first(folders, _VALIDATION), "test": _first(folders, _TEST)}
    return {"train": train} | {
        split: split_folder
        for split, split_folder in other_splits.items()
        if split_folder is not None
    }


def _first(folders: list[str], names: tuple[str, ...]) -> str | None:
    candidates = [folder for folder in folders if folder.lower() in names]
    return min(candidates, key=lambda folder: names.index(folder.lower()), default=None)


def _unused_notes(listing: Listing, split_folder_of: dict[str, str], root: str) -> list[str]:
    unused_folders = [
        f
        for f in listing.folders_in("")
        if split_folder_of["train"] and f not in split_folder_of.values()
    ]
    notes = []
    if unused_folders:
        folder_list = ", ".join(
            shortened(
                [
                    f if listing.folders_in(f) else f"{f} (without class folders)"
                    for f in unused_folders
                ]
            )
        )
        notes.append(f"not used, beside {split_folder_of['train']}/ in {root}: {folder_list}")
    if listing.hidden:
        hidden_list = ", ".join(shortened(listing.hidden))
        notes.append(f"skipped {number_of('hidden folder', listing.hidden)}: {hidden_list}")
    return notes


def _splits_within_classes(listing: Listing, train: str) -> list[str]:
    """A note if the folders in class folders are named as splits, which they are not read as."""
    split_names = [
        class_name(folder)
        for split_folder in listing.folders_in(train)
        for folder in listing.folders_in(split_folder)
    ]
    names = sorted(set(split_names))
    if len(names) < 2 or not _all_splits(names):
        return []
    name_list = shortened([f"{name}/" for name in names])
    return [
        f"{' and '.join(name_list)} within class folders are not read as splits: all images of a "
        "class are used together"
    ]


def _only_splits(listing: Listing, train: str, root: str) -> list[str]:
    """A fault if the folders that should be classes are splits, by their names."""
    folders = listing.folders_in(train)
    names = [class_name(folder) for folder in folders]
    if not _all_splits(names):
        return []
    if train:
        return [
            f"{root}/{train} holds {', '.join(names)}, names of splits; expected {EXPECTED}. Give "
            f"{root}/{train} if it is the whole dataset, or rename the folders if they are classes."
        ]
    if _first(names, _TRAIN) is None:
        return [
            f"{root} holds {', '.join(names)}, but no train/; expected {EXPECTED}. Add train/, or "
            "rename the folders if they are classes."
        ]
    flat_folders = [f"{name}/" for name in names if not listing.folders_in(name)]
    name_list = " and ".join(filter(None, (", ".join(flat_folders[:-1]), flat_folders[-1])))
    remedy = _csv_hint(listing) or " Put the images of each class into a folder of its own."
    return [f"{root} has no class folders in {name_list}; expected {EXPECTED}.{remedy}"]


def _all_splits(names: Sequence[str]) -> bool:
    return bool(names) and all(name.lower() in _SPLITS for name in names)


def _csv_hint(listing: Listing) -> str:
    """What to do if a CSV file is in the folder, or directly in a folder in it; else ""."""
    names = [file.name for file in listing.files if file.name.lower().endswith(".csv")]
    if not any(name.count("/") < 2 for name in names):
        return ""
    return " If the CSV file has the images' classes, give --label-mode multi."


def _class_count_faults(listing: Listing, train: str, root: str) -> list[str]:
    """A fault if there are fewer than two classes."""
    split_folder = f"{root}/{train}" if train else root
    folders = listing.folders_in(train)
    names = [class_name(folder) for folder in folders]
    labels = _csv_hint(listing)
    if not folders:
        files = [file for file in listing.files if "/" not in file.name]
        contents = f"{number_of('file', files)} and no folders" if files else "no folders"
        return [f"{split_folder} holds {contents}; expected {EXPECTED}.{labels}"]
    if len(set(names)) > 1:
        return []
    subfolders = listing.folders_in(folders[0])
    hint = f" If {root}/{folders[0]} holds the classes, give that folder." if subfolders else ""
    return [
        f"{split_folder} holds one class folder, {names[0]}; expected two or more.{hint}{labels}"
    ]


def _unknown_class_folders(
    listing: Listing, split_folder: str | None, names: Sequence[str]
) -> list[str]:
    folders = [] if split_folder is None else listing.folders_in(split_folder)
    classes = set(names)
    return [folder for folder in folders if class_name(folder) not in classes]


def _validation_notes(
    listing: Listing, split_folder: str | None, names: Sequence[str]
) -> list[str]:
    if split_folder is None:
        return []
    missing_classes = sorted({*names} - set(map(class_name, listing.folders_in(split_folder))))
    if not missing_classes:
        return []
    class_list = ", ".join(shortened(missing_classes))
    note = f"validation has no images of {number_of('class', missing_classes)}: {class_list}"
    return [Note(note, "validation")]


def _unknown_class_message(folders: list[str], root: str) -> str:
    folder_list = ", ".join(shortened([f"{root}/{folder}" for folder in folders]))
    return f"{number_of('folder', folders)} of classes that train does not have: {folder_list}"


def _files(
    listing: Listing, split_folder_of: dict[str, str], classes: dict[str, int]
) -> tuple[dict[str, list[tuple[str, int]]], list[str]]:
    files: dict[str, list[tuple[str, int]]] = {split: [] for split in split_folder_of}
    splits = {split_folder: split for split, split_folder in split_folder_of.items()}
    loose = []
    for file in listing.files:
        components = file.name.split("/")
        split_folder = "" if "" in splits else components[0]
        folder = "/".join(components[: 2 if split_folder else 1])
        if folder in classes:
            files[splits[split_folder]].append((file.name, classes[folder]))
        elif len(components) == 1 or (split_folder in splits and len(components) == 2):
            loose.append(file.name)
    return files, loose
