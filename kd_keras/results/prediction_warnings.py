"""Warnings about a run's distillation that follow from the predictions of its models."""

from collections.abc import Sequence

import numpy as np

from kd_keras.results import verdict
from kd_keras.results.metrics import agreement, statistics

FEWEST_IMAGES = 5  # of a class that a teacher predicts as one other class, to report it
MAX_CLASSES = 2_000  # with more, finding the best order takes too long
DEVIATIONS = 3
POINTS = 0.05


def order_of_classes(
    name: str, teacher: np.ndarray, labels: np.ndarray, class_names: Sequence[str]
) -> list[str]:
    """A sentence if a teacher seems to have its classes in a different order than the data.

    At least two classes must be exchanged clearly: most images of the class are predicted as one
    other class, and most images predicted as that class are of this one. A weak teacher's
    confusions are never that clear, since a confused class also keeps images of its own.

    Args:
        name: the teacher's name in the sentence.
        teacher: (N,) int predicted classes.
        labels: (N,) int.
        class_names: C names.
    """
    classes = len(class_names)
    if classes > MAX_CLASSES:
        return []
    true_class = agreement.best_order(teacher, labels, num_classes=classes)
    moved_classes = [
        predicted_class
        for predicted_class in range(classes)
        if _is_clear(predicted_class, int(true_class[predicted_class]), teacher, labels)
    ]
    if len(moved_classes) < 2:
        return []
    order = np.arange(classes)
    order[moved_classes] = true_class[moved_classes]
    examples = "; ".join(
        f"{class_names[predicted_class]!r} on images of "
        f"{class_names[true_class[predicted_class]]!r}"
        for predicted_class in moved_classes[:3]
    )
    return [
        f"the {name}'s classes seem to be in a different order than the data's: its accuracy is "
        f"{np.mean(teacher == labels):.1%}; with {len(moved_classes)} of {classes} classes "
        f"reordered it would be {np.mean(order[teacher] == labels):.1%}. It predicts {examples}. "
        "Give the file of its class names (--teacher-class-names)."
    ]


def low_agreement(
    name: str, teacher_name: str, student: np.ndarray, teacher: np.ndarray, labels: np.ndarray
) -> list[str]:
    """A sentence if two models agree far less often than two independent models would.

    Far: by more than three standard deviations and five points. What independent models would do
    is `agreement.expected_if_independent`.

    Args:
        name, teacher_name: names of the student and of its teacher in the sentence.
        student, teacher: (N,) int predicted classes of the same images.
        labels: (N,) int.
    """
    share = float(np.mean(student == teacher))
    expected_share, deviation = agreement.expected_if_independent(student, teacher, labels)
    if share >= expected_share - max(DEVIATIONS * deviation, POINTS):
        return []
    return [
        f"the {name} and the {teacher_name} predict the same class on {share:.1%} of the images; "
        "two models of the same accuracies that learnt independently would on about "
        f"{expected_share:.1%}. Check that both get the same images and have the same order of "
        "classes (--teacher-class-names)."
    ]


def worse_teacher(
    name: str,
    teacher_name: str,
    student: np.ndarray,
    teacher: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int,
) -> list[str]:
    """A sentence if a teacher is measurably worse than its student, see `verdict.direction`.

    Args:
        name, teacher_name, student, teacher, labels: as for `low_agreement`.
        seed: seed of the bootstrap.
    """
    is_right = student == labels, teacher == labels
    difference, low, high = statistics.bootstrap_interval(*is_right, seed)
    entry = {"low": low, "high": high, "p": statistics.mcnemar(*is_right)[-1]}
    if verdict.direction(entry) != verdict.BETTER:
        return []
    return [
        f"the {teacher_name} is worse than the {name} that it taught ({is_right[1].mean():.1%} and "
        f"{is_right[0].mean():.1%}: {difference * 100:.1f} points, 95 % interval {low * 100:.1f} "
        f"to {high * 100:.1f}), so it has little to teach. Train it longer (--teacher-epochs) or "
        "use a larger one (--teacher)."
    ]


def _is_clear(
    predicted_class: int, true_class: int, teacher: np.ndarray, labels: np.ndarray
) -> bool:
    is_predicted, is_true_class = teacher == predicted_class, labels == true_class
    num_both = np.sum(is_predicted & is_true_class)
    return bool(
        predicted_class != true_class
        and num_both >= FEWEST_IMAGES
        and num_both > 0.5 * is_predicted.sum()
        and num_both > 0.5 * is_true_class.sum()
    )
