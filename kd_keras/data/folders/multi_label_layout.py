"""Which images of a folder belong to which split, and which classes a CSV file gives each.

A folder, or its train/, val/ and test/, holds images, also in folders within it, and directly in it
one CSV file of any name, which names them relative to its own folder.
"""

import posixpath
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kd_keras.data.fault_report import number_of, shortened
from kd_keras.data.folders import folder_layout, label_csv
from kd_keras.data.folders.label_csv import LabelTable, Row
from kd_keras.data.notes import Note
from kd_keras.data.user_files import Listing

EXPECTED = (
    "images and one CSV file of their classes, or train/ and val/ folders (perhaps test/) of these"
)
_NAMED = 3  # images without a row that a message names


@dataclass(frozen=True)
class Layout:
    """The splits of a folder; file names are relative to it.

    Attributes:
        class_names: the classes of train, in the order of the columns, or sorted.
        tables: by split, the CSV file.
        files: by split, the images that have a row, each with a row of 0 and 1, one for each class.
        lines: the line of each of these files in its CSV file.
        files_without_row: by split, files in its folder; none if no row can be read.
        notes: what is not used, and what may surprise, one sentence each.
        faults: what makes training impossible, one sentence each.
    """

    class_names: tuple[str, ...]
    tables: dict[str, str]
    files: dict[str, list[tuple[str, tuple[int, ...]]]]
    lines: dict[str, int]
    files_without_row: dict[str, list[str]]
    notes: list[str]
    faults: list[str]


def read(listing: Listing, root: Path) -> Layout:
    """Finds splits, CSV files and labels in a listing of the folder `root`.

    Args:
        listing: the files and folders in `root`.
        root: path of the folder, for notes and faults.

    Raises:
        ValueError: there is no CSV file, or several in one place, or one cannot be read.
    """
    split_folder_of = _split_folder_of(listing)
    notes, faults = _missing_table_messages(listing, split_folder_of, root)
    tables = {
        split: _table(listing, split_folder, root)
        for split, split_folder in split_folder_of.items()
    }
    cells = {split: label_csv.read(root / table) for split, table in tables.items()}
    split_at_blanks = label_csv.separated_by_blanks(cells.values())
    contents = {
        split: label_csv.interpret(f"{root / tables[split]}", rows, split_at_blanks=split_at_blanks)
        for split, rows in cells.items()
    }
    faults += [fault for table in contents.values() for fault in table.faults]
    names = contents["train"].class_names
    if names and len(names) < 2:
        faults.append(f"{root / tables['train']} has the class {names[0]}; expected two or more.")
    files: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
    lines: dict[str, int] = {}
    files_without_row: dict[str, list[str]] = {}
    for split, table in contents.items():
        table_path, split_folder = f"{root / tables[split]}", split_folder_of[split]
        if not contents["train"].faults:
            faults += _unknown_class_faults(table_path, table, names)
        members = _files_in(listing, split_folder, tables[split])
        rows_by_file, row_faults = _rows_by_file(table.rows, members, table_path, split_folder)
        faults += row_faults
        lines |= {file: row.line for file, row in rows_by_file.items()}
        files[split] = [
            (file, tuple(int(name in row.classes) for name in names))
            for file, row in rows_by_file.items()
        ]
        # Without a row that can be read, "this image has no row" would mislead.
        files_without_row[split] = sorted(set(members) - set(rows_by_file)) if table.rows else []
    if not faults:
        notes += _train_notes(files["train"], names)
        for split, examples in files.items():
            notes += _missing_class_notes(split, examples, names)
    return Layout(names, tables, files, lines, files_without_row, notes, faults)


def without_rows(layout: Layout, images: set[str], root: Path) -> list[str]:
    """A fault for each split that has images without a row; `images` are files without a row.

    Args:
        layout: layout of the folder.
        images: those of `layout.files_without_row` that are images.
        root: path of the folder.
    """
    faults = []
    for split, other_files in layout.files_without_row.items():
        missing_images = [file for file in other_files if file in images]
        if missing_images:
            image_list = ", ".join(shortened([f"{root}/{file}" for file in missing_images], _NAMED))
            faults.append(
                f"{root / layout.tables[split]} has no row for "
                f"{number_of('image', missing_images)}: {image_list}; expected a row for "
                "each. Add rows (with no class for an image that shows none), or move these images "
                "away; --unlabelled folder:PATH trains on images whose classes are unknown."
            )
    return faults


def _split_folder_of(listing: Listing) -> dict[str, str]:
    """The folders of the splits: those with a CSV file directly in them, or the whole folder."""
    tops = listing.folders_in("")
    return folder_layout.split_folders([top for top in tops if _tables(listing, top)])


def _tables(listing: Listing, split_folder: str) -> list[str]:
    """The CSV files directly in a folder; "" is the folder of the listing."""
    return [
        file.name
        for file in listing.files
        if posixpath.dirname(file.name) == split_folder
        and file.name.lower().endswith(".csv")
        and not posixpath.basename(file.name).startswith(".")
    ]


def _table(listing: Listing, split_folder: str, root: Path) -> str:
    tables = _tables(listing, split_folder)
    if len(tables) == 1:
        return tables[0]
    folder = root / split_folder
    if tables:
        table_list = ", ".join(posixpath.basename(table) for table in tables)
        raise ValueError(
            f"{folder} has {len(tables)} CSV files: {table_list}; expected one, with the classes "
            "of the images in this folder. Move the others away."
        )
    raise ValueError(f"{folder} has no CSV file; expected {EXPECTED}, for --label-mode multi.")


def _missing_table_messages(
    listing: Listing, split_folder_of: dict[str, str], root: Path
) -> tuple[list[str], list[str]]:
    """Notes and faults about folders that are called as splits and hold no CSV file.

    Args:
        listing: all files of the folder.
        split_folder_of: folder of each split.
        root: the folder, for the messages.
    """
    if not split_folder_of["train"]:
        return [], []
    tops = [top for top in listing.folders_in("") if top not in split_folder_of.values()]
    split_names = folder_layout.split_folders([split_folder_of["train"], *tops])
    notes, faults = [], []
    if "validation" not in split_folder_of and "validation" in split_names:
        faults.append(
            f"{root / split_names['validation']} has no CSV file, and "
            f"{root / split_folder_of['train']} has one; expected one in each. Add it, or move the "
            "folder away."
        )
    unused_folders = [top for top in tops if top != split_names.get("validation")]
    if unused_folders:
        folder_list = ", ".join(
            shortened([f"{top} (without a CSV file)" for top in unused_folders])
        )
        notes.append(f"not used, beside {split_folder_of['train']}/ in {root}: {folder_list}")
    return notes, faults


def _files_in(listing: Listing, split_folder: str, table: str) -> list[str]:
    start = f"{split_folder}/" if split_folder else ""
    return [f.name for f in listing.files if f.name.startswith(start) and f.name != table]


def _unknown_class_faults(table_path: str, table: LabelTable, names: Sequence[str]) -> list[str]:
    known_classes, class_list = set(names), ", ".join(shortened(names, 5))
    unknown_classes = sorted(set(table.class_names) - known_classes)
    if not unknown_classes:
        return []
    line = next((row.line for row in table.rows if unknown_classes[0] in row.classes), 1)
    return [
        f"{table_path}, line {line}: {number_of('class', unknown_classes)} that train "
        f"does not have: {', '.join(shortened(unknown_classes))}; expected only classes of train: "
        f"{class_list}. Correct the names, or add such images to train."
    ]


def _rows_by_file(
    rows: Sequence[Row], files: Sequence[str], table_path: str, split_folder: str
) -> tuple[dict[str, Row], list[str]]:
    """The row of each file that a CSV file names, and a fault for each row without one.

    A name may lack its ending, as in some competitions, or have other upper and lower case, as
    Windows allows, if just one file fits.

    Args:
        rows: rows of the CSV file.
        files: images in the folder of the CSV file, relative to the data's folder.
        table_path: path of the CSV file, for the messages.
        split_folder: folder of the CSV file, relative to the data's folder.
    """
    files_by_name = {_normal_path(file): file for file in files}
    # By name in lower case, with and without ending.
    similar_files: dict[str, set[str]] = defaultdict(set)
    for file in files:
        similar_files[_normal_path(file).lower()].add(file)
        similar_files[_normal_path(str(PurePosixPath(file).with_suffix(""))).lower()].add(file)
    rows_by_file: dict[str, Row] = {}
    faults = []
    for row in rows:
        name = _normal_path(posixpath.join(split_folder, row.file.replace("\\", "/")))
        candidates = sorted(similar_files.get(name.lower(), ()))
        match = files_by_name.get(name) or (candidates[0] if len(candidates) == 1 else None)
        if match is None:
            reason = f"there are {', '.join(candidates)}" if candidates else "there is no such file"
            faults.append(
                f"{table_path}, line {row.line}: {row.file}: {reason}; expected the path of one "
                "image in the folder of the CSV file. Correct the name, or remove the row."
            )
        elif match in rows_by_file:
            first = rows_by_file[match]
            comparison = "the same" if first.classes == row.classes else "different"
            faults.append(
                f"{table_path}, line {row.line}: {row.file} is in line {first.line} too, with "
                f"{comparison} classes; expected one row for each image. Remove one of the rows."
            )
        else:
            rows_by_file[match] = row
    return rows_by_file, faults


def _normal_path(name: str) -> str:
    """A path in one form: operating systems compose accents differently."""
    return unicodedata.normalize("NFC", posixpath.normpath(name))


def _train_notes(files: Sequence[tuple[str, tuple[int, ...]]], names: Sequence[str]) -> list[str]:
    """Notes on classes with nearly the same name, and on images without a class."""
    notes = []
    by_spelling: dict[str, list[str]] = defaultdict(list)
    for name in names:
        by_spelling[name.casefold()].append(name)
    twins = [" and ".join(spellings) for spellings in by_spelling.values() if len(spellings) > 1]
    if twins:
        notes.append(f"classes that differ in upper and lower case only: {', '.join(twins)}")
    num_without = sum(not any(labels) for _, labels in files)
    if num_without:
        text = f"training images that show none of the classes: {num_without:,} of {len(files):,}"
        notes.append(Note(text, "train"))
    return notes


def _missing_class_notes(
    split: str, files: Sequence[tuple[str, tuple[int, ...]]], names: Sequence[str]
) -> list[str]:
    """A note on the classes that no image of a split has; mAP and F1 leave them out.

    Args:
        split: name of the split.
        files: its images, with a 0 or 1 for each class.
        names: names of the classes.
    """
    class_sizes = [sum(column) for column in zip(*(labels for _, labels in files), strict=True)]
    missing_classes = [name for name, size in zip(names, class_sizes, strict=True) if not size]
    if not missing_classes:
        return []
    class_list = ", ".join(shortened(missing_classes))
    text = f"{split} has no image of {number_of('class', missing_classes)}: {class_list}"
    return [Note(text, split)]
