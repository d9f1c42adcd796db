"""Which image of the official layout belongs to which split and class."""

from collections import Counter
from dataclasses import dataclass

from kd_keras.data.tiny_imagenet.archive import Archive

_ANNOTATIONS = "val/val_annotations.txt"
_ENDINGS = (".jpeg", ".jpg", ".png")


@dataclass(frozen=True)
class Layout:
    """Class names, one a label, and the (file, label) pairs of every split that is there."""

    class_names: list[str]
    splits: dict[str, list[tuple[str, int]]]


def read(archive: Archive) -> Layout:
    """Reads the lists of an archive; what is there counts, so a subset of the images will do.

    Labels follow the sorted WordNet ids, as every tool that reads folders has them.

    Raises:
        ValueError: a list is missing or contradicts the files; an empty class.
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
            raise ValueError(f"{name} in {archive.where} is of {wnid}, a class not in wnids.txt.")
        files.append((name, labels[wnid]))
    empty = sorted(set(labels.values()) - {label for _, label in files})
    if empty:
        names = [wnid for wnid, label in labels.items() if label in empty]
        raise ValueError(
            f"train/{names[0]}/images/ in {archive.where} has no images ({len(names)} of "
            f"{len(labels)} classes are empty); expected some of every class. Extract the "
            "archive again, or take the classes out of wnids.txt and val_annotations.txt."
        )
    return files


def _validation(archive: Archive, labels: dict[str, int]) -> list[tuple[str, int]]:
    """The official list with val/images/, or the class folders that scripts sort these into."""
    flat = set(_images(archive, "val/images/"))
    in_classes = _in_class_folders(archive, labels)
    if _ANNOTATIONS in archive.names and (flat or not in_classes):
        return _annotated(archive, labels, flat, {_base(name): name for name, _ in in_classes})
    copied = {_base(name) for name, _ in in_classes}
    unlabelled = sorted(name for name in flat if _base(name) not in copied)
    if unlabelled:
        raise ValueError(
            f"{unlabelled[0]} in {archive.where} has no line in {_ANNOTATIONS} and lies in no "
            f"class folder. {_AGAIN}"
        )
    return in_classes


def _in_class_folders(archive: Archive, labels: dict[str, int]) -> list[tuple[str, int]]:
    files = []
    for name in _images(archive, "val/"):
        folder = name.split("/")[1]
        if folder in labels:  # val/<wnid>/x.JPEG or val/<wnid>/images/x.JPEG
            files.append((name, labels[folder]))
        elif folder != "images":
            raise ValueError(
                f"{name} in {archive.where} is of {folder}, a class not in wnids.txt. {_AGAIN}"
            )
    return files


def _annotated(
    archive: Archive, labels: dict[str, int], flat: set[str], moved: dict[str, str]
) -> list[tuple[str, int]]:
    """Every line of the official list; `moved` has images that a script already sorted away."""
    files = []
    labelled: set[str] = set()
    for number, line in enumerate(_text(archive, _ANNOTATIONS).splitlines(), start=1):
        file, wnid, *_ = [*line.split("\t"), "", ""]
        place = f"Line {number} of {_ANNOTATIONS} in {archive.where}"
        name = f"val/images/{file}"
        name = name if name in flat else moved.get(file, "")
        if not name:
            raise ValueError(f"{place} names {file!r}, which is not in val/images/. {_AGAIN}")
        if wnid not in labels:
            raise ValueError(f"{place} has the class {wnid!r}, which is not in wnids.txt. {_AGAIN}")
        if name in labelled:
            raise ValueError(f"{place} names {file!r}, as an earlier line does. {_AGAIN}")
        labelled.add(name)
        files.append((name, labels[wnid]))
    unlabelled = sorted(flat - labelled)
    if unlabelled:
        raise ValueError(
            f"{unlabelled[0]} in {archive.where} has no line in {_ANNOTATIONS}. {_AGAIN}"
        )
    return files


_AGAIN = "Extract the archive again, or mend the list."


def _images(archive: Archive, below: str) -> list[str]:
    return sorted(
        name
        for name in archive.names
        if name.startswith(below)
        and name.lower().endswith(_ENDINGS)
        and not _base(name).startswith(".")
    )


def _base(name: str) -> str:
    return name.rpartition("/")[2]


def _names(archive: Archive, wnids: list[str]) -> list[str]:
    """The first of each class's words, with its WordNet id where two classes share it."""
    lines = (line.partition("\t") for line in _text(archive, "words.txt").splitlines())
    words = {wnid: text.split(",")[0].strip() for wnid, _, text in lines}
    names = [words.get(wnid, wnid) for wnid in wnids]
    shared = Counter(names)
    return [
        name if shared[name] == 1 else f"{name} ({wnid})"
        for name, wnid in zip(names, wnids, strict=True)
    ]


def _text(archive: Archive, name: str) -> str:
    if name not in archive.names:
        raise ValueError(f"{archive.where} has no {name}; expected the official layout. {_AGAIN}")
    return archive.read(name).decode("utf-8")
