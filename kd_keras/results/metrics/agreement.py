"""Agreement and divergence of two classifiers, and the agreement of independent ones."""

import math
from typing import Any

import numpy as np

_ROWS = 4096  # of float64 at a time, so that memory does not grow with the images


def measure_agreement(
    student: np.ndarray, teacher: np.ndarray, labels: np.ndarray
) -> dict[str, Any]:
    """The agreement of a student with its teacher on the validation images, for results.json.

    Args:
        student, teacher: (N, C) logits of the same images in the same order, finite.
        labels: (N,) int.

    Returns:
        `agreement`; `agreement_if_independent`, see `expected_if_independent`; `predictive_kl`.
    """
    expected_share, _ = expected_if_independent(
        student.argmax(axis=1), teacher.argmax(axis=1), labels
    )
    return {
        "agreement": agreement(student, teacher),
        "agreement_if_independent": expected_share,
        "predictive_kl": predictive_kl(student, teacher),
    }


def agreement(student: np.ndarray, teacher: np.ndarray) -> float:
    """Share, 0 to 1, of the images for which both score the same class highest.

    Args:
        student, teacher: (N, C) scores of the same images in the same order.
    """
    return float(np.mean(np.argmax(student, axis=1) == np.argmax(teacher, axis=1)))


def predictive_kl(student: np.ndarray, teacher: np.ndarray) -> float:
    """Mean over images of KL(teacher || student) of the two softmaxes, at temperature 1, in nats.

    Args:
        student, teacher: (N, C) logits of the same images in the same order, finite.

    Source: Stanton, Izmailov, Kirichenko, Alemi, Wilson 2021, "Does Knowledge Distillation Really
    Work?", arXiv:2106.05945, section 3: agreement and predictive KL as measures of fidelity.
    """
    total = 0.0
    for start in range(0, len(student), _ROWS):
        rows = slice(start, start + _ROWS)
        log_p, log_q = _log_softmax(teacher[rows]), _log_softmax(student[rows])
        total += float(np.sum(np.exp(log_p) * (log_p - log_q)))
    return total / len(student)


def expected_if_independent(
    student: np.ndarray, teacher: np.ndarray, labels: np.ndarray
) -> tuple[float, float]:
    """The expected agreement of two models with independent errors.

    Given an image's class c, let each model answer j with the frequency with which it answers j on
    images of c, independently of the other. Both then answer alike with probability
    sum over j of P_student(j | c) * P_teacher(j | c). Models trained on the same labels agree more
    often than that: hard images are hard for both. A student that was distilled agrees even more.

    Args:
        student, teacher: (N,) int predicted classes of the same images.
        labels: (N,) int.

    Returns:
        The expected agreement, 0 to 1, and its standard deviation over draws of N answers.
    """
    classes = int(max(student.max(), teacher.max(), labels.max())) + 1
    expected_share = variance = 0.0
    for label in np.unique(labels):  # one class at a time: C x C for all would not fit for many
        is_in_class = labels == label
        class_size = int(is_in_class.sum())
        shares = [
            np.bincount(p[is_in_class], minlength=classes) / class_size for p in (student, teacher)
        ]
        same_share = float(shares[0] @ shares[1])
        expected_share += class_size * same_share
        variance += class_size * same_share * (1 - same_share)
    return expected_share / len(labels), math.sqrt(variance) / len(labels)


def best_order(teacher: np.ndarray, labels: np.ndarray, *, num_classes: int) -> np.ndarray:
    """The order of the teacher's classes with which its accuracy would be highest.

    Args:
        teacher: (N,) int predicted classes.
        labels: (N,) int.
        num_classes: C.

    Returns:
        (C,) int, a permutation: the class of ours that each of the teacher's most probably means.
    """
    from scipy import optimize

    confusions = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(confusions, (teacher, labels), 1)
    # Among equally good orders, the one that moves the fewest classes.
    confusions = confusions * (num_classes + 1) + np.eye(num_classes, dtype=np.int64)
    return np.asarray(optimize.linear_sum_assignment(confusions, maximize=True)[1])


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted_logits = np.asarray(logits, np.float64) - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted_logits - np.log(np.exp(shifted_logits).sum(axis=1, keepdims=True)))
