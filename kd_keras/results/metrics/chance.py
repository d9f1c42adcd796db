"""The accuracy of guessing, and the accuracy that a teacher needs to count as better."""

import math

import numpy as np

TIMES_CHANCE = 3
SHARE_OF_THE_WAY = 1 / 3  # from chance to 1
STANDARD_ERRORS = 3
MAX_FOR_ERRORS = 1 / 2  # of the way from chance to 1: a good teacher passes with few images too


def majority_accuracy(labels: np.ndarray) -> float:
    """The accuracy, 0 to 1, of a model that always predicts the most frequent class.

    Args:
        labels: (N,) int, N at least 1. If all classes have equal size, chance is 1 / classes.
    """
    return float(np.bincount(np.asarray(labels, np.int64)).max() / len(labels))


def weak_below(chance: float, num_images: int) -> float:
    """The top-1 accuracy, 0 to 1, below which a teacher counts as no better than guessing.

    The larger of two bounds. First, the teacher must know something: three times chance, or a third
    of the way from chance to 1 if that is less (up to six classes, where three times chance is out
    of reach or close to it). Second, its accuracy must not be luck: chance plus three standard
    errors, each sqrt(chance * (1 - chance) / images), but at most half of the way from chance to 1,
    so that a good teacher passes with few images too.

    Args:
        chance: accuracy of guessing, 0 to 1, from `majority_accuracy`.
        num_images: number of images that the accuracy was measured on, at least 1.
    """
    way = 1 - chance
    by_chance = min(TIMES_CHANCE * chance, chance + SHARE_OF_THE_WAY * way)
    errors = STANDARD_ERRORS * math.sqrt(chance * way / num_images)
    return max(by_chance, chance + min(errors, MAX_FOR_ERRORS * way))


def chance_map(labels: np.ndarray) -> float:
    """The mean average precision, 0 to 1, of images in random order: the mean share of a class.

    Args:
        labels: (N, C) int, 1 for each class that an image has, else 0. Classes that no image has do
            not count.
    """
    shares = (np.asarray(labels) == 1).mean(axis=0)
    return float(shares[shares > 0].mean())


def require_better_map(what: str, value: float, labels: np.ndarray) -> None:
    """Raises ValueError if a teacher's mean average precision is below `weak_below`.

    Args:
        what: name of the teacher in the message.
        value: mean average precision of the teacher, 0 to 1.
        labels: (N, C) int labels of the images that it was measured on.
    """
    chance = chance_map(labels)
    bound = weak_below(chance, len(labels))
    if value < bound:
        raise ValueError(
            f"the {what}'s mAP is {value:.2%} on {len(labels):,} images; expected at least "
            f"{bound:.2%}, since images in random order give {chance:.2%}. Check its pixels "
            "(--teacher-preprocess) and class order (--teacher-class-names), train it longer "
            "(--teacher-epochs), or start from ImageNet weights (--teacher app:MobileNetV2). To "
            "use it anyway, give --allow-weak-teacher."
        )


def require_better(what: str, top1: float, labels: np.ndarray) -> None:
    """Raises ValueError if a teacher's accuracy is below `weak_below`.

    Args:
        what: name of the teacher in the message.
        top1: accuracy of the teacher, 0 to 1.
        labels: (N,) int labels of the images that the accuracy was measured on.
    """
    chance = majority_accuracy(labels)
    bound = weak_below(chance, len(labels))
    if top1 < bound:
        raise ValueError(
            f"the {what}'s top-1 is {top1:.2%} on {len(labels):,} images; expected at least "
            f"{bound:.2%}, since always naming the most frequent class gives {chance:.2%}. Check "
            "its pixels (--teacher-preprocess) and class order (--teacher-class-names), train it "
            "longer (--teacher-epochs), or start from ImageNet weights (--teacher "
            "app:MobileNetV2). To use it anyway, give --allow-weak-teacher."
        )
