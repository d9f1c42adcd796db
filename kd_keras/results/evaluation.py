"""The results of evaluating one model on one split, as numbers and files."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras import files
from kd_keras.data.stores.store import Split
from kd_keras.results import calibration, class_report, confusion, statistics, wrong_images
from kd_keras.results import evaluate as accuracy_of
from kd_keras.results.class_report import ClassRow
from kd_keras.results.wrong_images import WrongImage

#: Names of the files that `write` writes.
JSON, CLASSES, MATRIX, WRONG = "evaluation", "per_class", "confusion", "wrong"


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """A classifier's accuracy on a split, where it errs, its size and its speed.

    Attributes:
        model: path of the model.
        format: "keras", "savedmodel", "litert" or "onnx": what ran it.
        dataset, split: what it was evaluated on.
        images: number N of images.
        class_names: the dataset's, in its order.
        top1, top5: accuracy, 0 to 1.
        top1_interval: 95 % interval of top1 over images (Wilson): low, high.
        ece: expected calibration error, 0 to 1, with 15 bins.
        per_class: precision, recall, F1 and support of each class.
        matrix: (C, C) int, images by true class (row) and predicted class (column).
        predicted: (N,) int classes that the model gives, in the split's order.
        wrong: the images that it gets wrong, most confident first.
        teacher: None, or `model`, `top1`, `agreement` (share of the images for which both give one
            class) and `predictive_kl` (nats).
        milliseconds_per_image: see `timing.latency`; None if it was not timed.
        megabytes: size of the file or folder, in 10^6 bytes.
        parameters, multiply_adds: of a Keras model; None where the format does not say.
        notes: what readers of the numbers should know, one sentence each.
        folder: where the files of the evaluation are; None if none were written.
    """

    model: Path
    format: str
    dataset: str
    split: str
    images: int
    class_names: tuple[str, ...]
    top1: float
    top1_interval: tuple[float, float]
    top5: float
    ece: float
    per_class: tuple[ClassRow, ...]
    matrix: np.ndarray
    predicted: np.ndarray
    wrong: tuple[WrongImage, ...]
    megabytes: float
    teacher: Mapping[str, Any] | None = None
    milliseconds_per_image: Mapping[str, Any] | None = None
    parameters: int | None = None
    multiply_adds: int | None = None
    notes: tuple[str, ...] = ()
    folder: Path | None = None

    @classmethod
    def from_scores(
        cls,
        logits: np.ndarray,
        confidence: np.ndarray,
        examples: Split,
        *,
        class_names: tuple[str, ...],
        **others: Any,
    ) -> "Evaluation":
        """The evaluation of a model's scores on labelled images.

        Args:
            logits: (N, C) float32, in the order of `class_names`.
            confidence: (N,) float, probability of each answer, 0 to 1.
            examples: the N labelled images.
            class_names: C names.
            others: the attributes that do not follow from the scores, such as `model`.
        """
        labels, predicted = examples.labels, logits.argmax(axis=1)
        return cls(
            images=len(examples),
            class_names=class_names,
            top1=accuracy_of.accuracy(logits, labels),
            top1_interval=statistics.share_interval(int((predicted == labels).sum()), len(labels)),
            top5=accuracy_of.accuracy(logits, labels, k=5),
            ece=calibration.ece(logits, labels),
            per_class=class_report.rows(labels, predicted, class_names),
            matrix=class_report.confusion_matrix(labels, predicted, len(class_names)),
            predicted=predicted,
            wrong=wrong_images.list_wrong_images(examples, predicted, confidence, class_names),
            **others,
        )

    @property
    def macro_f1(self) -> float:
        """Mean of the classes' F1, 0 to 1."""
        return class_report.macro(self.per_class, "f1")

    def to_json(self) -> dict[str, Any]:
        """The numbers, without those of single images and of the confusion matrix."""
        left_out = ("matrix", "predicted", "wrong", "per_class")
        facts = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in left_out
        }
        return facts | {
            "model": str(self.model),
            "folder": None if self.folder is None else str(self.folder),
            "macro_f1": self.macro_f1,
            "wrong": len(self.wrong),
            "per_class": [dataclasses.asdict(row) for row in self.per_class],
        }


def write(folder: Path, evaluation: Evaluation, split: Split) -> None:
    """Writes the numbers as JSON and CSV, the confusion matrix and the wrong images.

    Args:
        folder: created if it does not exist; files of an earlier evaluation are replaced.
        evaluation: what to write.
        split: the examples that it is of.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = evaluation.class_names
    title = f"{evaluation.model.name} on {evaluation.split}: top-1 {evaluation.top1:.1%}"
    confusion.write(folder / f"{MATRIX}.csv", evaluation.matrix, names)
    confusion.picture(folder / f"{MATRIX}.png", evaluation.matrix, names, title=title)
    class_report.write(folder / f"{CLASSES}.csv", evaluation.per_class)
    wrong_images.write(folder / f"{WRONG}.csv", evaluation.wrong)
    sheet = folder / f"{WRONG}.png"
    if evaluation.wrong:
        wrong_images.contact_sheet(sheet, split, evaluation.wrong)
    else:
        sheet.unlink(missing_ok=True)  # of an earlier evaluation
    files.write_json(folder / f"{JSON}.json", evaluation.to_json())
