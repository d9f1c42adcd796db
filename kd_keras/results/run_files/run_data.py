"""What a run folder says about its data: class names and how an image becomes the model's input.

Whoever uses a model of a run later, without its dataset, reads it from `data.json`.
"""

import dataclasses
from pathlib import Path
from typing import Any

from kd_keras import check, files
from kd_keras.data.stores.store import Dataset

NAME = "data.json"


@dataclasses.dataclass(frozen=True)
class RunData:
    """The data of a run.

    Attributes:
        class_names: one for each label, unique.
        image_shape: (H, W, C) of the images that the models take, in uint8 pixels.
        resize: how an image that is not square is made square, see `data.images.resizing.resized`.
        fingerprint: hash of the dataset's content, with what is held out of it.
        dataset: what the user typed, with an absolute path.
        label_mode: "single" or "multi", see `data.load`.
    """

    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    resize: str
    fingerprint: str
    dataset: str
    label_mode: str = "single"

    @property
    def multi_label(self) -> bool:
        """Whether an image may have several classes."""
        return self.label_mode == "multi"


def write(folder: Path, data: Dataset) -> None:
    """Writes what a run folder says about its dataset."""
    label_mode = "multi" if data.multi_label else "single"
    facts = RunData(
        data.class_names, data.image_shape, data.resize, data.fingerprint, data.name, label_mode
    )
    files.write_json(folder / NAME, dataclasses.asdict(facts))


def read(folder: Path) -> RunData:
    """What `write` wrote.

    Raises:
        FileNotFoundError: the folder has no `data.json`: it is not a run, or of an older version.
        ValueError: the file was changed.
    """
    path = folder / NAME
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} has no {NAME}; expected the folder of a run of this version, with its class "
            "names and image size. Check the path, or run its command again in a new folder."
        )
    try:
        facts: dict[str, Any] = files.read_json(path)
        height, width, channels = map(int, facts["image_shape"])
        return RunData(
            class_names=tuple(map(str, facts["class_names"])),
            image_shape=(height, width, channels),
            resize=str(facts["resize"]),
            fingerprint=str(facts["fingerprint"]),
            dataset=str(facts["dataset"]),
            label_mode=str(facts.get("label_mode", facts.get("labels", "single"))),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} cannot be read ({check.fault(error)}); expected what `kdk train` wrote. "
            "Restore the file."
        ) from None
