"""The results of evaluating one model on one split, as numbers and files."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras import files
from kd_keras.data.stores.store import Split
from kd_keras.results.evaluation import class_report, confusion, measure_model, wrong_images
from kd_keras.results.evaluation.class_report import ClassRow
from kd_keras.results.evaluation.evaluated_model import EvaluatedModel
from kd_keras.results.evaluation.wrong_images import WrongImage
from kd_keras.results.metrics import calibration, statistics

#: Names of the files that `write` writes.
JSON, CLASSES, MATRIX, WRONG = "evaluation", "per_class", "confusion", "wrong"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation(EvaluatedModel):
    """A classifier's accuracy on a split, where it errs, its size and its speed.

    Attributes:
        model, format, dataset, split, images, class_names, teacher, milliseconds_per_image,
            megabytes, parameters, multiply_adds, notes, folder: see `EvaluatedModel`.
        top1, top5: accuracy, 0 to 1.
        top1_interval: 95 % interval of top1 over images (Wilson): low, high.
        ece: expected calibration error, 0 to 1, with 15 bins.
        per_class: precision, recall, F1 and support of each class.
        matrix: (C, C) int, images by true class (row) and predicted class (column).
        predicted: (N,) int classes that the model gives, in the split's order.
        wrong: the images that it gets wrong, most confident first.
    """

    top1: float
    top1_interval: tuple[float, float]
    top5: float
    ece: float
    per_class: tuple[ClassRow, ...]
    matrix: np.ndarray
    wrong: tuple[WrongImage, ...]

    @classmethod
    def from_scores(
        cls,
        logits: np.ndarray,
        confidence: np.ndarray,
        examples: Split,
        *,
        class_names: tuple[str, ...],
        **other_fields: Any,
    ) -> "Evaluation":
        """The evaluation of a model's scores on labelled images.

        Args:
            logits: (N, C) float32, in the order of `class_names`.
            confidence: (N,) float, probability of each answer, 0 to 1.
            examples: the N labelled images.
            class_names: C names.
            other_fields: the attributes that do not follow from the scores, such as `model`.
        """
        labels, predicted_classes = examples.labels, logits.argmax(axis=1)
        return cls(
            images=len(examples),
            class_names=class_names,
            top1=measure_model.accuracy(logits, labels),
            top1_interval=statistics.share_interval(
                int((predicted_classes == labels).sum()), len(labels)
            ),
            top5=measure_model.accuracy(logits, labels, k=5),
            ece=calibration.ece(logits, labels),
            per_class=class_report.rows(labels, predicted_classes, class_names),
            matrix=class_report.confusion_matrix(labels, predicted_classes, len(class_names)),
            predicted=predicted_classes,
            wrong=wrong_images.list_wrong_images(
                examples, predicted_classes, confidence, class_names
            ),
            **other_fields,
        )

    @property
    def macro_f1(self) -> float:
        """Mean of the classes' F1, 0 to 1."""
        return class_report.macro(self.per_class, "f1")

    def to_json(self) -> dict[str, Any]:
        """The numbers, without those of single images and of the confusion matrix."""
        facts = self._json_fields(leave_out=("matrix", "predicted"))
        return facts | {"macro_f1": self.macro_f1, "wrong": len(self.wrong)}


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
