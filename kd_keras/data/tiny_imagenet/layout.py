"""Which image of the official layout belongs to which split and class."""

from collections import Counter
from dataclasses import dataclass

from kd_keras.data.tiny_imagenet.archive import Archive

_ANNOTATIONS = "val/val_annotations.txt"
_ENDINGS = (".jpeg", ".jpg", ".png")


@dataclass(frozen=True)
class Layout:
    """Class names, one for each label, and the (file, label) pairs of each split with images."""

    class_names: list[str]
    splits: dict[str, list[tuple[str, int]]]


def read(archive: Archive) -> Layout:
    """Reads the lists of an archive, which may hold a subset of the official images.

    Labels follow the sorted WordNet ids, as in tools that read class folders.

    Raises:
        ValueError: a list is missing or contradicts the files, or a class is empty.
    """
    wnids = sorted(_text(archive, "wnids.txt").split())
    labels = {wnid: label for label, wnid in enumerate(wnids)}
    splits = {
        "train": _train(archive, labels),
        "validation": _validation(archive, labels),
        "test": [(name, -1) for name in _images(archive, "test/images/")],
    }
    return Layout(_names(archive, wnids), {name: files for name, files in splits.items() if files})


def _train(archive: Archive, labels: dict[str, int]) -> list[tuple[str, int]]:
    files = []
    for name in _images(archive, "train/"):
        wnid = name.split("/")[1]
        if wnid not in labels:
            raise ValueError(
                f"{name} in {archive.path} has the class {wnid}, which is not in wnids.txt."
            )
        files.append((name, labels[wnid]))
    empty_classes = sorted(set(labels.values()) - {label for _, label in files})
    if empty_classes:
        names = [wnid for wnid, label in labels.items() if label in empty_classes]
        raise ValueError(
            f"train/{names[0]}/images/ in {archive.path} has no images ({len(names)} of "
            f"{len(labels)} classes are empty); expected some of every class. Extract the "
            "archive again, or take the classes out of wnids.txt and val_annotations.txt."
        )
    return files


def _validation(archive: Archive, labels: dict[str, int]) -> list[tuple[str, int]]:
    """Labels from the official list, or from class folders that the images were sorted into."""
    flat_files = set(_images(archive, "val/images/"))
    class_folder_files = _in_class_folders(archive, labels)
    if _ANNOTATIONS in archive.names and (flat_files or not class_folder_files):
        return _annotated_files(
            archive, labels, flat_files, {_base(name): name for name, _ in class_folder_files}
        )
    sorted_names = {_base(name) for name, _ in class_folder_files}
    unlabelled_files = sorted(name for name in flat_files if _base(name) not in sorted_names)
    if unlabelled_files:
        raise ValueError(
            f"{unlabelled_files[0]} in {archive.path} has no line in {_ANNOTATIONS} and lies in no "
            f"class folder. {_AGAIN}"
        )
    return class_folder_files


def _in_class_folders(archive: Archive, labels: dict[str, int]) -> list[tuple[str, int]]:
    files = []
    for name in _images(archive, "val/"):
        folder = name.split("/")[1]
        if folder in labels:  # val/<wnid>/x.JPEG or val/<wnid>/images/x.JPEG
            files.append((name, labels[folder]))
        elif folder != "images":
            raise ValueError(
                f"{name} in {archive.path} has the class {folder}, not in wnids.txt. {_AGAIN}"
            )
    return files


def _annotated_files(
    archive: Archive, labels: dict[str, int], flat_files: set[str], moved_files: dict[str, str]
) -> list[tuple[str, int]]:
    """Labels from the official list; `moved_files` maps file names to images in class folders.

    Args:
        archive: the zip or folder.
        labels: label of each WordNet id.
        flat_files: images directly in val/images/.
        moved_files: path of each image that lies in a class folder, by file name.
    """
    files: dict[str, int] = {}
    for number, line in enumerate(_text(archive, _ANNOTATIONS).splitlines(), start=1):
        file, wnid, *_ = [*line.split("\t"), "", ""]
        location = f"Line {number} of {_ANNOTATIONS} in {archive.path}"
        name = f"val/images/{file}"
        name = name if name in flat_files else moved_files.get(file, "")
        if not name:
            raise ValueError(f"{location} names {file!r}, which is not in val/images/. {_AGAIN}")
        if wnid not in labels:
            raise ValueError(
                f"{location} has the class {wnid!r}, which is not in wnids.txt. {_AGAIN}"
            )
        if name in files:
            raise ValueError(f"{location} names {file!r}, as an earlier line does. {_AGAIN}")
        files[name] = labels[wnid]
    missing_files = sorted(flat_files - files.keys())
    if missing_files:
        raise ValueError(
            f"{missing_files[0]} in {archive.path} has no line in {_ANNOTATIONS}. {_AGAIN}"
        )
    return list(files.items())


_AGAIN = "Extract the archive again, or correct the list."


def _images(archive: Archive, prefix: str) -> list[str]:
    return sorted(
        name
        for name in archive.names
        if name.startswith(prefix)
        and name.lower().endswith(_ENDINGS)
        and not _base(name).startswith(".")
    )


def _base(name: str) -> str:
    return name.rpartition("/")[2]


def _names(archive: Archive, wnids: list[str]) -> list[str]:
    """The first word of each class, with its WordNet id if two classes share the word."""
    lines = (line.partition("\t") for line in _text(archive, "words.txt").splitlines())
    words = {wnid: text.split(",")[0].strip() for wnid, _, text in lines}
    names = [words.get(wnid, wnid) for wnid in wnids]
    name_counts = Counter(names)
    return [
        name if name_counts[name] == 1 else f"{name} ({wnid})"
        for name, wnid in zip(names, wnids, strict=True)
    ]


def _text(archive: Archive, name: str) -> str:
    if name not in archive.names:
        raise ValueError(f"{archive.path} has no {name}; expected the official layout. {_AGAIN}")
    return archive.read(name).decode("utf-8")
