"""What an exported classifier needs beside its weights: class names, image shape, resizing.

Each format keeps it in the place that its own tools read: a SavedModel as assets, an ONNX file as
metadata properties, a LiteRT file as files packed behind the model.
"""

import dataclasses
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

ASSET = "kd_keras.json"  # beside class_names.txt in a SavedModel's assets, and in a LiteRT file
LABELS = "labels.txt"  # where other programs look for the class names of a LiteRT file
CLASS_NAMES = "class_names.txt"


@dataclasses.dataclass(frozen=True)
class Metadata:
    """Facts about a classifier; None where its file does not say.

    Attributes:
        class_names: one name per class, in the order of the outputs.
        image_shape: (height, width, channels) of the images that it takes.
        resize: how images become square, "crop", "pad" or "squash" (see `data.images.resizing`).
        multi_label: whether an image may have several classes, each with a sigmoid of its own.
    """

    class_names: tuple[str, ...] | None = None
    image_shape: tuple[int, int, int] | None = None
    resize: str | None = None
    multi_label: bool = False

    def to_json(self) -> str:
        entries = dataclasses.asdict(self)
        if not entries.pop("multi_label"):
            return json.dumps(entries, ensure_ascii=False)
        return json.dumps({**entries, "label_mode": "multi"}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Metadata":
        """The metadata in a text that `to_json` made; unknown entries are ignored.

        Raises:
            ValueError: the text is not such metadata.
        """
        entries = json.loads(text)
        if not isinstance(entries, dict):
            raise ValueError(f"the metadata is {text[:80]!r}; expected an object of JSON.")
        names, shape = entries.get("class_names"), entries.get("image_shape")
        return cls(
            None if names is None else tuple(map(str, names)),
            None if shape is None else (int(shape[0]), int(shape[1]), int(shape[2])),
            entries.get("resize"),
            entries.get("label_mode", entries.get("labels")) == "multi",
        )

    def filled_from(self, source: "Metadata") -> "Metadata":
        """This metadata, with entries of `source` where this has none."""
        return Metadata(
            self.class_names or source.class_names,
            self.image_shape or source.image_shape,
            self.resize or source.resize,
            self.multi_label or source.multi_label,
        )


def read_saved_model(folder: Path) -> Metadata:
    """The metadata in a SavedModel's assets; class names alone in exports of earlier versions."""
    assets = folder / "assets"
    if (assets / ASSET).is_file():
        return Metadata.from_json((assets / ASSET).read_text(encoding="utf-8"))
    names = assets / CLASS_NAMES
    if names.is_file():
        return Metadata(tuple(names.read_text(encoding="utf-8").splitlines()))
    return Metadata()


def read_onnx(properties: Mapping[str, str]) -> Metadata:
    """The metadata in an ONNX file's properties; {} if the file is of another origin."""
    return Metadata.from_json(properties[ASSET]) if ASSET in properties else Metadata()


def for_onnx(metadata: Metadata) -> dict[str, str]:
    """Properties to write into an ONNX file."""
    properties = {ASSET: metadata.to_json()}
    if metadata.class_names is not None:
        properties["class_names"] = json.dumps(metadata.class_names, ensure_ascii=False)
    return properties


def read_litert(path: Path) -> Metadata:
    """The metadata packed behind a LiteRT model; labels alone in files of another origin."""
    try:
        with zipfile.ZipFile(path) as archive:
            member_names = archive.namelist()
            if ASSET in member_names:
                return Metadata.from_json(archive.read(ASSET).decode())
            labels = next((name for name in member_names if name.endswith(".txt")), None)
            if labels is not None:
                return Metadata(tuple(archive.read(labels).decode().splitlines()))
    except (zipfile.BadZipFile, zlib.error, RuntimeError):  # damaged, encrypted or of unknown kind
        pass  # nothing of kd_keras is packed behind this model
    return Metadata()


def pack_into_litert(path: Path, metadata: Metadata) -> None:
    """Packs the metadata behind a LiteRT model, as a zip archive that interpreters do not read.

    `unzip model.tflite labels.txt` takes the class names out.

    Args:
        path: the .tflite file, which is extended in place.
        metadata: what the file shall say about itself.
    """
    contents = {ASSET: metadata.to_json()}
    if metadata.class_names is not None:
        contents[LABELS] = "".join(f"{name}\n" for name in metadata.class_names)
    with zipfile.ZipFile(path, "a") as archive:
        for name, text in contents.items():
            # A fixed date, so that equal models give equal files.
            archive.writestr(zipfile.ZipInfo(name), text)


def assets(metadata: Metadata) -> dict[str, str]:
    """Texts to write into a SavedModel's assets, by file name."""
    texts = {ASSET: metadata.to_json()}
    if metadata.class_names is not None:
        texts[CLASS_NAMES] = "".join(f"{name}\n" for name in metadata.class_names)
    return texts
