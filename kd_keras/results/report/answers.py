"""What two models of a run answer on the same images, and what the two are called."""

import dataclasses

import numpy as np

from kd_keras.results.phase_names import has_unmeasured_teacher
from kd_keras.results.report.finished_run import FinishedRun


@dataclasses.dataclass(frozen=True)
class Answers:
    """Predictions of two models on the same images.

    Attributes:
        labels, student_classes, other_classes: (N,) int; the student, and what it is compared with.
        num_classes: C.
    """

    labels: np.ndarray
    student_classes: np.ndarray
    other_classes: np.ndarray
    num_classes: int

    def recall(self, predicted_classes: np.ndarray) -> np.ndarray:
        """(C,) share of each class's images that are named rightly; NaN without images."""
        images = np.bincount(self.labels, minlength=self.num_classes)
        num_right = np.bincount(
            self.labels[predicted_classes == self.labels], minlength=self.num_classes
        )
        share = np.full(self.num_classes, np.nan)
        np.divide(num_right, images, out=share, where=images > 0)
        return share

    def confusion(self, predicted_classes: np.ndarray) -> np.ndarray:
        """(C, C) number of images by label and predicted class."""
        counts = np.bincount(
            self.labels * self.num_classes + predicted_classes, minlength=self.num_classes**2
        )
        return counts.reshape(self.num_classes, self.num_classes)

    @property
    def predictions(self) -> tuple[np.ndarray, np.ndarray]:
        """Predicted classes of the student, and of what it is compared with."""
        return self.student_classes, self.other_classes

    def gain(self) -> np.ndarray:
        """(C,) the student's recall less that of what it is compared with; NaN without images."""
        student_recall, other_recall = map(self.recall, self.predictions)
        return np.asarray(student_recall - other_recall)


def compared_name(run: FinishedRun) -> str:
    """Name, for texts, of the model that the student is compared with."""
    return "" if run.reference is None else run.name_in_text(run.reference)


def column_names(run: FinishedRun) -> tuple[str, str]:
    """Headings of what the student is compared with, and of the student; short ones."""
    is_distilled = run.teacher or has_unmeasured_teacher(run.results)
    return "alone" if run.alone else "teacher", "distilled" if is_distilled else "student"
