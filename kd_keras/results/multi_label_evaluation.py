"""The results of evaluating one model on images that may have several classes."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras import files
from kd_keras.data.stores.store import Split
from kd_keras.results import evaluation_table, multi_label, paths
from kd_keras.results.evaluation import CLASSES, JSON
from kd_keras.results.multi_label import LabelRow
from kd_keras.results.screen import Screen


@dataclasses.dataclass(frozen=True)
class MultiLabelEvaluation:
    """How well a model finds the classes of images, its size and its speed.

    Attributes:
        model: path of the model.
        format: "keras", "savedmodel", "litert" or "onnx": what ran it.
        dataset, split: what it was evaluated on.
        images: number N of images.
        class_names: the dataset's, in its order.
        map, f1, micro_f1: see `multi_label.measure`, 0 to 1.
        map_interval: 95 % interval of `map` over images (bootstrap): low, high.
        per_class: average precision, precision, recall, F1 and images of each class.
        predicted: (N, C) uint8, 1 for each class with a probability of 1/2 or more.
        teacher: None, or `model`, `map`, `agreement` and `predictive_kl`, see
            `multi_label.measure_agreement`.
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
    map: float
    map_interval: tuple[float, float]
    f1: float
    micro_f1: float
    per_class: tuple[LabelRow, ...]
    predicted: np.ndarray
    megabytes: float
    teacher: Mapping[str, Any] | None = None
    milliseconds_per_image: Mapping[str, Any] | None = None
    parameters: int | None = None
    multiply_adds: int | None = None
    notes: tuple[str, ...] = ()
    folder: Path | None = None

    @classmethod
    def from_scores(
        cls, logits: np.ndarray, examples: Split, *, class_names: tuple[str, ...], **others: Any
    ) -> "MultiLabelEvaluation":
        """The evaluation of a model's scores on labelled images.

        Args:
            logits: (N, C) float32, in the order of `class_names`.
            examples: the N labelled images.
            class_names: C names.
            others: the attributes that do not follow from the scores, such as `model`.

        Raises:
            ValueError: no image has any of the classes.
        """
        labels = examples.labels
        measured = multi_label.measure(labels, logits)
        return cls(
            images=len(examples),
            class_names=class_names,
            map=measured["map"],
            f1=measured["f1"],
            micro_f1=measured["micro_f1"],
            map_interval=multi_label.interval(labels, logits, seed=0),
            per_class=multi_label.rows(labels, logits, class_names),
            predicted=multi_label.decisions(logits),
            **others,
        )

    def to_json(self) -> dict[str, Any]:
        """The numbers, without those of single images."""
        names = [field.name for field in dataclasses.fields(self)]
        facts = {name: getattr(self, name) for name in names if name != "predicted"}
        return facts | {
            "model": str(self.model),
            "folder": None if self.folder is None else str(self.folder),
            "per_class": [dataclasses.asdict(row) for row in self.per_class],
        }


def write(folder: Path, evaluation: MultiLabelEvaluation) -> None:
    """Writes the numbers as JSON, and those of the classes as CSV; creates the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    multi_label.write(folder / f"{CLASSES}.csv", evaluation.per_class)
    files.write_json(folder / f"{JSON}.json", evaluation.to_json())


def show(evaluation: MultiLabelEvaluation, screen: Screen) -> None:
    """Shows the numbers, the classes, or the worst of many, and where the files are."""
    screen.table("Scores and cost", ["", evaluation.model.name], _rows(evaluation))
    screen.say("")
    _show_classes(evaluation, screen)
    screen.say("")
    for note in evaluation.notes:
        screen.say(note)
    if evaluation.folder is not None:
        screen.result(f"written to {paths.short_path(evaluation.folder)}:")
        screen.say(f"  {CLASSES}.csv, {JSON}.json")


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
    rows, title = list(evaluation.per_class), "Classes"
    if len(rows) > evaluation_table.ALL_CLASSES:
        worst = evaluation_table.WORST
        title = f"The {worst} classes with the lowest average precision, of {len(rows)}"
        rows = sorted(rows, key=_precision)[:worst]
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


def _precision(row: LabelRow) -> float:
    return 2.0 if row.average_precision is None else row.average_precision


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.1f}"
