"""A user's own images: one sub-folder a class, or a train/ and a val/ folder of them."""

from functools import partial
from pathlib import Path
from typing import Any

from kd_keras.data import decode, listing
from kd_keras.data.making import Source
from kd_keras.data.progress import Progress
from kd_keras.data.writing import Contents, Part

_ENDINGS = (".jpg", ".jpeg", ".png")
_LAYOUT = "one folder of JPEG or PNG images a class, or train/ and val/ folders of such folders"


def source(path: Path, *, image_size: int | None) -> Source:
    """Images below `path`; without `image_size` they must be of one size already."""
    path = listing.readable(path, _LAYOUT)
    if not path.is_dir():
        raise FileNotFoundError(f"{path} is a file; expected a folder with {_LAYOUT}.")
    return Source(
        name=f"folder:{path}",
        kind="folder",
        settings={"path": str(path), "image_size": image_size},
        state=listing.state(path),
        flip=True,
        val_fraction=0.1,
        contents=partial(_contents, path=path, image_size=image_size),
    )


def _contents(folder: Path, progress: Progress, *, path: Path, image_size: int | None) -> Contents:
    import tensorflow_datasets as tfds

    places = _places(path)
    for place in places.values():
        _check_classes(place)
    _check_same(places)
    # ImageFolder wants split/class/image: links bring every layout into that form.
    layout = folder / "layout"
    layout.mkdir()
    for part, place in places.items():
        (layout / part).symlink_to(place, target_is_directory=True)
    builder = tfds.ImageFolder(str(layout))
    return Contents(
        class_names=list(builder.info.features["label"].names),
        parts={
            part: _part(builder, part, place, len(str(layout / part)), image_size)
            for part, place in places.items()
        },
    )


def _part(builder: Any, part: str, place: Path, prefix: int, image_size: int | None) -> Part:
    import tensorflow as tf

    from kd_keras.data import records

    def record(example: dict[str, Any]) -> dict[str, Any]:
        below = tf.strings.substr(example["image/filename"], prefix, -1)
        name = tf.strings.join([str(place), below])
        return {"image": example["image"], "label": example["label"], "name": name}

    images = records.undecoded(builder, part, "image").map(record)
    count = builder.info.splits[part].num_examples
    return Part(count, decode.batches(images, size=image_size, channels=3))


def _places(path: Path) -> dict[str, Path]:
    """From the store's parts to the folders that hold their classes."""
    if not _folders(path / "train"):
        return {"train": path}
    for name in ("val", "validation"):
        if (path / name).is_dir():
            return {"train": path / "train", "validation": path / name}
    return {"train": path / "train"}


def _check_classes(place: Path) -> None:
    classes = _folders(place)
    if not classes:
        raise ValueError(f"{place} holds no folders; expected {_LAYOUT}.")
    for name in classes:
        if not any(file.suffix.lower() in _ENDINGS for file in (place / name).iterdir()):
            raise ValueError(
                f"{place / name} holds no image ({', '.join(_ENDINGS)}); expected one or more in "
                "every class's folder. Put some in, or take the folder out."
            )


def _check_same(places: dict[str, Path]) -> None:
    known = _folders(places["train"])
    for place in places.values():
        for name in _folders(place):
            if name not in known:
                raise ValueError(
                    f"{place / name} is of a class that {places['train']} does not have; expected "
                    f"only classes of training: {', '.join(known[:5])} … ."
                )


def _folders(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir() if entry.is_dir()) if path.is_dir() else []
