"""What guessing reaches, and from which accuracy on a teacher counts as better than guessing."""

import math

import numpy as np

TIMES_CHANCE = 3
SHARE_OF_THE_WAY = 1 / 3  # from chance to 1
STANDARD_ERRORS = 3
MOST_FOR_ERRORS = 1 / 2  # of the way from chance to 1: few images do not refuse a good teacher


def of_labels(labels: np.ndarray) -> float:
    """The accuracy, 0 to 1, of a model that always names the most frequent class.

    Args:
        labels: (N,) int, N at least 1. Of classes of equal size, chance is 1 / classes.
    """
    return float(np.bincount(np.asarray(labels, np.int64)).max() / len(labels))


def weak_below(chance: float, images: int) -> float:
    """The top-1 accuracy, 0 to 1, below which a teacher counts as no better than guessing.

    The larger of two bounds. The teacher's knowledge has to be worth something: three times
    chance, or a third of the way from chance to 1 where that is less (up to six classes, for which
    three times chance is out of reach or close to it). And it has to be more than luck: chance
    plus three standard errors, sqrt(chance * (1 - chance) / images) each, but never more than
    half of the way from chance to 1, so that a few images do not refuse a good teacher.

    Args:
        chance: accuracy of guessing, 0 to 1, as `of_labels` gives it.
        images: how many images the accuracy was measured on, at least 1.
    """
    left = 1 - chance
    worth = min(TIMES_CHANCE * chance, chance + SHARE_OF_THE_WAY * left)
    errors = STANDARD_ERRORS * math.sqrt(chance * left / images)
    return max(worth, chance + min(errors, MOST_FOR_ERRORS * left))


def require_better(what: str, top1: float, labels: np.ndarray) -> None:
    """Raises ValueError where the accuracy of a teacher is below `weak_below`.

    Args:
        what: the teacher, for the message.
        top1: its accuracy, 0 to 1.
        labels: (N,) int, of the images that it was measured on.
    """
    chance = of_labels(labels)
    bound = weak_below(chance, len(labels))
    if top1 < bound:
        raise ValueError(
            f"the {what}'s top-1 is {top1:.2%} on {len(labels):,} images; expected at least "
            f"{bound:.2%}, since always naming the most frequent class gives {chance:.2%}. Check "
            "its pixels (--teacher-preprocess) and its order of classes (--teacher-classes), "
            "train it longer (--teacher-epochs) or start from ImageNet's weights (--teacher "
            "app:MobileNetV2). Go on with it all the same by --allow-weak-teacher."
        )
