"""Scores of classifiers whose images may have several classes: mAP, F1, and their differences."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from kd_keras.results.metrics.statistics import bias_corrected_interval

THRESHOLD = 0.5  # probability from which on an image counts as having a class
SAMPLES = 1000  # of the bootstrap
_AT_A_TIME = 2_000_000  # numbers in an array of the bootstrap


@dataclasses.dataclass(frozen=True)
class LabelRow:
    """One class; shares are 0 to 1.

    Attributes:
        name: name of the class.
        average_precision: see `average_precisions`; None if no image has the class.
        precision: share of the images given the class that have it; None if none was given it.
        recall: share of the images with the class that were given it; None if none has it.
        f1: 2 TP / (2 TP + FP + FN); None if no image has the class and none was given it.
        positives: images that have the class.
        predicted: images that were given it.
    """

    name: str
    average_precision: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    positives: int
    predicted: int


def measure(labels: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    """The scores of results.json: `map`, `f1` (mean over classes) and `micro_f1`, 0 to 1.

    F1 is that of the answers with a probability of `THRESHOLD` or more. Classes without images and
    answers have no F1 and do not count in the mean.

    Args:
        labels: (N, C) int, 1 for each class that an image has, else 0.
        logits: (N, C) float, a score for each class.

    Raises:
        ValueError: no image has any class.
    """
    answers = decisions(logits)
    hits, errors = _hits(labels, answers), (labels != answers).sum(axis=0)
    total = float(2 * hits.sum() + errors.sum())
    return {
        "map": mean_average_precision(labels, logits),
        "f1": float(np.nanmean(_f1s(hits, errors))),
        "micro_f1": float(2 * hits.sum() / total),
    }


def mean_average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean of the classes' average precisions, over the classes that an image has; 0 to 1.

    Args:
        labels: (N, C) int, 1 for each class that an image has, else 0.
        scores: (N, C) float, larger for images that rather have the class.

    Raises:
        ValueError: no image has any class.
    """
    if not (labels == 1).any():
        raise ValueError(
            f"none of the {len(labels)} images has any of the classes, so there is no average "
            "precision; expected some. Give images that show a class."
        )
    return float(np.nanmean(average_precisions(labels, scores)))


def average_precisions(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(C,) average precision of each class, 0 to 1; NaN for a class that no image has.

    The images are ranked by their score; of each one with the class, the precision of the ranking
    up to it counts (up to all that have an equal score), without interpolation.

    Args:
        labels: (N, C) int, 1 for each class that an image has, else 0.
        scores: (N, C) float, larger for images that rather have the class.
    """
    multiplicities = np.ones((1, len(labels)))
    return np.array(
        [
            _weighted_precision(Ranking.of(*column), multiplicities)[0]
            for column in _columns(labels, scores)
        ]
    )


def decisions(logits: np.ndarray) -> np.ndarray:
    """(N, C) uint8: 1 for each class with a probability of `THRESHOLD` or more, else 0."""
    return np.asarray(logits >= 0, np.uint8)  # the logit of a probability of 1/2 is 0


def rows(
    labels: np.ndarray, logits: np.ndarray, class_names: Sequence[str]
) -> tuple[LabelRow, ...]:
    """One row for each class; arguments as for `measure`, and C names."""
    answers = decisions(logits)
    num_positives, num_predicted = (labels == 1).sum(axis=0), answers.sum(axis=0)
    hits = _hits(labels, answers)
    precision, recall = _ratio(hits, num_predicted), _ratio(hits, num_positives)
    f1 = _f1s(hits, (labels != answers).sum(axis=0))
    ranking_precision = average_precisions(labels, logits)
    return tuple(
        LabelRow(
            name=name,
            average_precision=_number(ranking_precision[index]),
            precision=_number(precision[index]),
            recall=_number(recall[index]),
            f1=_number(f1[index]),
            positives=int(num_positives[index]),
            predicted=int(num_predicted[index]),
        )
        for index, name in enumerate(class_names)
    )


def interval(
    labels: np.ndarray, scores: np.ndarray, *, seed: int, samples: int = SAMPLES
) -> tuple[float, float]:
    """The 95 % interval of `mean_average_precision` over images (bootstrap, bias corrected).

    Args:
        labels, scores: as for `mean_average_precision`.
        seed: seed of the resampling.
        samples: number of bootstrap samples, each of N images.
    """
    estimate = mean_average_precision(labels, scores)
    return bias_corrected_interval(estimate, _resampled_map(labels, scores, seed, samples))


def difference(
    labels: np.ndarray, ones: np.ndarray, others: np.ndarray, *, seed: int, samples: int = SAMPLES
) -> tuple[float, float, float]:
    """mAP of `ones` minus mAP of `others` on the same images, with its 95 % interval over images.

    This is the paired bootstrap, bias corrected: both models are measured on the same samples.

    Args:
        labels: (N, C) int, 1 for each class that an image has, else 0.
        ones, others: (N, C) float scores of two models.
        seed: seed of the resampling.
        samples: number of bootstrap samples, each of N images.

    Returns:
        Difference, low, high; fractions, not percent.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 13 and 14.
    """
    first_map, second_map = (mean_average_precision(labels, scores) for scores in (ones, others))
    samples_of_models = [_resampled_map(labels, scores, seed, samples) for scores in (ones, others)]
    return first_map - second_map, *bias_corrected_interval(
        first_map - second_map, samples_of_models[0] - samples_of_models[1]
    )


def measure_agreement(student: np.ndarray, teacher: np.ndarray) -> dict[str, float]:
    """The agreement of a student with its teacher, for results.json.

    Args:
        student, teacher: (N, C) logits of the same images in the same order, finite.

    Returns:
        `agreement`: the share of all answers, N times C, in which both say the same of a class;
        `predictive_kl`: mean over images and classes of KL(teacher || student) of the two sigmoids,
        in nats.
    """
    student_logits, teacher_logits = (
        np.asarray(student, np.float64),
        np.asarray(teacher, np.float64),
    )
    p = np.exp(-np.logaddexp(0, -teacher_logits))
    present_loss = p * (np.logaddexp(0, -student_logits) - np.logaddexp(0, -teacher_logits))
    absent_loss = (1 - p) * (np.logaddexp(0, student_logits) - np.logaddexp(0, teacher_logits))
    return {
        "agreement": float(np.mean(decisions(student) == decisions(teacher))),
        "predictive_kl": float(np.mean(present_loss + absent_loss)),
    }


@dataclasses.dataclass(frozen=True)
class Ranking:
    """The images by falling score.

    Attributes:
        order: (N,) int, the images.
        has: (N,) bool, whether each of these has the class.
        last: (N,) int, the place of the last image with the same score as each.
    """

    order: np.ndarray
    has: np.ndarray
    last: np.ndarray

    @classmethod
    def of(cls, label: np.ndarray, score: np.ndarray) -> "Ranking":
        """The ranking of one class; (N,) labels and scores."""
        order = np.argsort(-score, kind="stable")
        ends = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
        group_index = np.searchsorted(ends, np.arange(len(order)))
        return cls(order, label[order] == 1, ends[group_index])


def _weighted_precision(ranking: Ranking, multiplicities: np.ndarray) -> np.ndarray:
    """(S,) average precision of S samples, which hold each image `multiplicities` (S, N) times."""
    ordered_multiplicities = multiplicities[:, ranking.order]
    hits = ordered_multiplicities * ranking.has
    num_ranked = np.maximum(np.cumsum(ordered_multiplicities, axis=1)[:, ranking.last], 1)
    precision = np.cumsum(hits, axis=1)[:, ranking.last] / num_ranked
    total = hits.sum(axis=1)
    return np.where(total > 0, (hits * precision).sum(axis=1) / np.maximum(total, 1), np.nan)


def _resampled_map(labels: np.ndarray, scores: np.ndarray, seed: int, samples: int) -> np.ndarray:
    """(samples,) mAP of bootstrap samples; equal seeds draw the same images.

    NaN for a sample in which no image has a class: it has no average precision.
    """
    rankings = [Ranking.of(*column) for column in _columns(labels, scores)]
    rankings = [ranking for ranking in rankings if ranking.has.any()]
    random, num_images = np.random.default_rng(seed), len(labels)
    results: list[np.ndarray] = []
    chunk_size = max(1, _AT_A_TIME // num_images)
    for start in range(0, samples, chunk_size):
        size = min(samples - start, chunk_size)
        multiplicities = random.multinomial(
            num_images, np.full(num_images, 1 / num_images), size=size
        )
        precisions = np.stack(
            [_weighted_precision(ranking, multiplicities) for ranking in rankings]
        )
        results.append(_ratio(np.nansum(precisions, axis=0), np.isfinite(precisions).sum(axis=0)))
    return np.concatenate(results)


def _columns(labels: np.ndarray, scores: np.ndarray) -> Any:
    return zip(labels.T, np.asarray(scores).T, strict=True)


def _hits(labels: np.ndarray, answers: np.ndarray) -> np.ndarray:
    return np.asarray(((labels == 1) & (answers == 1)).sum(axis=0))


def _f1s(hits: np.ndarray, errors: np.ndarray) -> np.ndarray:
    return _ratio(2 * hits, 2 * hits + errors)


def _ratio(subset_total: np.ndarray, total: np.ndarray) -> np.ndarray:
    return np.where(total > 0, subset_total / np.maximum(total, 1), np.nan)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
