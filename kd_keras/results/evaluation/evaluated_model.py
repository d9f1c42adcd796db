"""What every evaluation says about its model and data, whatever it measures."""

import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluatedModel:
    """A model, the images that it was evaluated on, its size and its speed.

    Attributes:
        model: path of the model.
        format: "keras", "savedmodel", "litert" or "onnx": what ran it.
        dataset, split: what it was evaluated on.
        images: number N of images.
        class_names: the dataset's, in its order.
        per_class: the scores of each class.
        predicted: what the model answers for each image, in the split's order.
        teacher: None, or the teacher's `model`, its score, `agreement` and `predictive_kl`.
        milliseconds_per_image: see `timing.latency`; None if it was not timed.
        megabytes: size of the file or folder, in 10^6 bytes.
        parameters, multiply_adds: numbers for a Keras model; None where the format does not say.
        notes: what readers of the numbers should know, one sentence each.
        folder: where the files of the evaluation are; None if none were written.
    """

    model: Path
    format: str
    dataset: str
    split: str
    images: int
    class_names: tuple[str, ...]
    per_class: tuple[Any, ...]
    predicted: np.ndarray
    megabytes: float
    teacher: Mapping[str, Any] | None = None
    milliseconds_per_image: Mapping[str, Any] | None = None
    parameters: int | None = None
    multiply_adds: int | None = None
    notes: tuple[str, ...] = ()
    folder: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """The numbers, without those of single images."""
        return self._json_fields(leave_out=("predicted",))

    def _json_fields(self, leave_out: Collection[str]) -> dict[str, Any]:
        """The attributes by name as JSON can hold them, without some."""
        names = [field.name for field in dataclasses.fields(self)]
        return {name: getattr(self, name) for name in names if name not in leave_out} | {
            "model": str(self.model),
            "folder": None if self.folder is None else str(self.folder),
            "per_class": [dataclasses.asdict(row) for row in self.per_class],
        }
