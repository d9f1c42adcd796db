"""The results of evaluating one model on images that may have several classes."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras import files
from kd_keras.data.stores.store import Split
from kd_keras.results import csv_table
from kd_keras.results.evaluation import evaluation_table
from kd_keras.results.evaluation.evaluated_model import EvaluatedModel
from kd_keras.results.evaluation.evaluation import CLASSES, JSON
from kd_keras.results.metrics import multi_label
from kd_keras.results.metrics.multi_label import LabelRow
from kd_keras.results.terminal.screen import Screen


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiLabelEvaluation(EvaluatedModel):
    """How well a model finds the classes of images, its size and its speed.

    Attributes:
        model, format, dataset, split, images, class_names, milliseconds_per_image, megabytes,
            parameters, multiply_adds, notes, folder: see `EvaluatedModel`.
        map, f1, micro_f1: see `multi_label.measure`, 0 to 1.
        map_interval: 95 % interval of `map` over images (bootstrap): low, high.
        per_class: average precision, precision, recall, F1 and images of each class.
        predicted: (N, C) uint8, 1 for each class with a probability of 1/2 or more.
        teacher: None, or `model`, `map`, `agreement` and `predictive_kl`, see
            `multi_label.measure_agreement`.
    """

    map: float
    map_interval: tuple[float, float]
    f1: float
    micro_f1: float
    per_class: tuple[LabelRow, ...]

    @classmethod
    def from_scores(
        cls,
        logits: np.ndarray,
        examples: Split,
        *,
        class_names: tuple[str, ...],
        **other_fields: Any,
    ) -> "MultiLabelEvaluation":
        """The evaluation of a model's scores on labelled images.

        Args:
            logits: (N, C) float32, in the order of `class_names`.
            examples: the N labelled images.
            class_names: C names.
            other_fields: the attributes that do not follow from the scores, such as `model`.

        Raises:
            ValueError: no image has any of the classes.
        """
        labels = examples.labels
        measurements = multi_label.measure(labels, logits)
        return cls(
            images=len(examples),
            class_names=class_names,
            map=measurements["map"],
            f1=measurements["f1"],
            micro_f1=measurements["micro_f1"],
            map_interval=multi_label.interval(labels, logits, seed=0),
            per_class=multi_label.rows(labels, logits, class_names),
            predicted=multi_label.decisions(logits),
            **other_fields,
        )


def write(folder: Path, evaluation: MultiLabelEvaluation) -> None:
    """Writes the numbers as JSON, and those of the classes as CSV; creates the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = [field.name for field in dataclasses.fields(LabelRow)]
    rows = [dataclasses.astuple(row) for row in evaluation.per_class]
    csv_table.write(folder / f"{CLASSES}.csv", ["class", *columns[1:]], rows)
    files.write_json(folder / f"{JSON}.json", evaluation.to_json())


def show(evaluation: MultiLabelEvaluation, screen: Screen) -> None:
    """Shows the numbers, the classes (the worst ones if there are many) and the files' paths."""
    screen.table("Scores and cost", ["", evaluation.model.name], _rows(evaluation))
    screen.say("")
    _show_classes(evaluation, screen)
    screen.say("")
    evaluation_table.show_end(evaluation, f"{CLASSES}.csv, {JSON}.json", screen)


def _rows(evaluation: MultiLabelEvaluation) -> list[list[str]]:
    low, high = evaluation.map_interval
    rows = [
        ["mean average precision (mAP)", f"{evaluation.map:.2%}"],
        ["  95 % interval over images", f"{low:.2%} to {high:.2%}"],
        ["macro F1, from a probability of 50 %", f"{evaluation.f1:.2%}"],
        ["micro F1", f"{evaluation.micro_f1:.2%}"],
    ]
    if evaluation.teacher is not None:
        rows += [
            ["mAP of the teacher", f"{evaluation.teacher['map']:.2%}"],
            ["agreement with the teacher", f"{evaluation.teacher['agreement']:.2%}"],
        ]
    return [*rows, *evaluation_table.cost_rows(evaluation)]


def _show_classes(evaluation: MultiLabelEvaluation, screen: Screen) -> None:
    rows, title = evaluation_table.shown_classes(
        evaluation.per_class, "average_precision", "average precision"
    )
    columns = ["class", "AP\n%", "precision\n%", "recall\n%", "F1\n%", "images\nwith it"]
    cells = [
        [
            evaluation_table.shortened(row.name),
            *map(_percent, (row.average_precision, row.precision, row.recall, row.f1)),
            f"{row.positives:,}",
        ]
        for row in rows
    ]
    screen.table(title, columns, cells)


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.1f}"
