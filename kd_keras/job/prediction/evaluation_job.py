"""Measures models on one split of a dataset: their scores, their cost, and notes on both."""

from typing import Any

import numpy as np

from kd_keras import files
from kd_keras.data.notes import concerns
from kd_keras.data.stores.store import Dataset, Split
from kd_keras.job.prediction import class_order, evaluation_data, opened_model
from kd_keras.job.prediction.evaluation_data import DataOptions
from kd_keras.job.prediction.opened_model import OpenedModel
from kd_keras.models import cost
from kd_keras.results.evaluation import measure_model
from kd_keras.results.metrics import agreement, multi_label
from kd_keras.results.metrics.timing import latency
from kd_keras.results.terminal.screen import Screen

_TIMED_IMAGES = 128


class EvaluationJob:
    """One evaluation: the data for the model and the teacher, and the notes so far.

    Args:
        options: which dataset.
        split: one of `evaluation_data.SPLITS`.
        batch_size: images that a model gets at a time.
        screen: where progress is shown.
    """

    def __init__(self, options: DataOptions, split: str, batch_size: int, screen: Screen):
        self.options, self.split, self.batch_size = options, split, batch_size
        self.screen = screen
        self.notes: list[str] = []

    def data_of(self, model: OpenedModel) -> tuple[Dataset, Split]:
        """The dataset in the size of the model's images, and its part to evaluate on."""
        notes: list[str] = []
        data = evaluation_data.load(
            model, self.options, progress=self.screen.progress, tell=notes.append
        )
        relevant = [note for note in notes if concerns(note, self.split)]
        self.notes += [note for note in relevant if note not in self.notes]
        return data, evaluation_data.split_of(data, self.split)

    def scores(
        self, model: OpenedModel, data: Dataset, split: Split
    ) -> tuple[np.ndarray, np.ndarray]:
        """(N, C) float32 logits in the order of the dataset's classes, and (N,) confidences.

        Args:
            model: the model.
            data: the dataset.
            split: the images to evaluate on.

        Raises:
            ValueError: the model has other classes, or some scores are not finite.
        """
        shape, model_shape = data.image_shape, model.metadata.image_shape
        num_outputs = opened_model.check_num_classes(model, model_shape or shape)
        names = model.metadata.class_names
        if names is None:
            self.notes.append(
                f"{model.path.name} has no class names: its classes are taken to be those of the "
                "dataset, in the same order"
            )
        columns = class_order.columns(
            names, data.class_names, num_outputs=num_outputs, source=str(model.path)
        )
        if columns is not None:
            self.notes.append(
                f"the classes of {model.path.name} have a different order than the dataset's; "
                "they are matched by name"
            )
        logits, confidences = [], []
        with self.screen.progress(f"evaluating {model.path.name}", len(split)) as advance:
            for start in range(0, len(split), self.batch_size):
                images = split.images_at(slice(start, start + self.batch_size))
                scores = model.classifier(evaluation_data.images(images, model_shape))
                logits.append(scores.logits if columns is None else scores.logits[:, columns])
                confidences.append(scores.probabilities.max(axis=1))
                advance(len(images))
        all_logits = np.concatenate(logits)
        if not np.isfinite(all_logits).all():
            raise ValueError(
                f"{model.path} gives scores that are NaN or infinite; expected finite ones. Check "
                "its --preprocess, or give another file."
            )
        return all_logits, np.concatenate(confidences)

    def compared(self, teacher: OpenedModel, logits: np.ndarray) -> dict[str, Any]:
        """Agreement of the model with its teacher, on the same images in the teacher's size."""
        data, split = self.data_of(teacher)
        teacher_logits, _ = self.scores(teacher, data, split)
        if data.multi_label:
            return {
                "model": str(teacher.path),
                "map": multi_label.mean_average_precision(split.labels, teacher_logits),
                **multi_label.measure_agreement(logits, teacher_logits),
            }
        return {
            "model": str(teacher.path),
            "top1": measure_model.accuracy(teacher_logits, split.labels),
            "agreement": agreement.agreement(logits, teacher_logits),
            "predictive_kl": agreement.predictive_kl(logits, teacher_logits),
        }

    def measurements(
        self, model: OpenedModel, data: Dataset, split: Split, *, timing: bool
    ) -> dict[str, Any]:
        """Fields of the evaluation that do not follow from scores.

        Args:
            model: the model.
            data: the dataset.
            split: the images to time on.
            timing: whether the model is timed.
        """
        times = _milliseconds(model, data, split) if timing else None
        parameters, multiply_adds = self.cost(model)
        return {
            "class_names": data.class_names,
            "model": model.path,
            "format": model.classifier.format,
            "dataset": data.name,
            "split": self.split,
            "megabytes": files.size(model.path) / 1e6,
            "milliseconds_per_image": times,
            "parameters": parameters,
            "multiply_adds": multiply_adds,
            "notes": tuple(self.notes),
        }

    def cost(self, model: OpenedModel) -> tuple[int | None, int | None]:
        """Parameters and multiply-adds of a Keras model; None where they are not known."""
        network = getattr(model.classifier, "model", None)
        if network is None:
            self.notes.append(
                f"parameters and multiply-adds are unknown: a file of {model.classifier.format} "
                "does not say; evaluate the .keras file for them"
            )
            return None, None
        try:
            return network.count_params(), cost.macs(network)
        except ValueError as error:
            self.notes.append(f"multiply-adds are unknown: {str(error).partition(';')[0]}")
            return network.count_params(), None


def _milliseconds(model: OpenedModel, data: Dataset, split: Split) -> dict[str, Any]:
    images = split.images_at(slice(0, _TIMED_IMAGES))
    images = evaluation_data.images(images, model.metadata.image_shape)

    def batch(num_images: int) -> np.ndarray:
        return np.resize(images, (num_images, *images.shape[1:]))

    return latency(lambda batch: model.classifier(batch).logits, batch)
