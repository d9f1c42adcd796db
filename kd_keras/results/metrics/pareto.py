"""The Pareto front: the models that no other model beats in accuracy and cost at once."""

from collections.abc import Sequence

import numpy as np


def front(accuracies: Sequence[float], costs: Sequence[float | None]) -> list[bool]:
    """Whether each model is on the front of accuracy (more is better) against a cost (less is).

    A model is off the front if another is at least as good in both and better in one. Equal models
    are on the front together.

    Args:
        accuracies: one for each model.
        costs: cost of each model, such as milliseconds or megabytes; None if unknown, which is
            never on the front.
    """
    known = np.array([cost is not None for cost in costs], bool)
    accuracy = np.asarray(accuracies, np.float64)
    cost = np.array([np.inf if each is None else each for each in costs], np.float64)
    at_least = (accuracy[:, None] >= accuracy) & (cost[:, None] <= cost)  # (other, model)
    better = (accuracy[:, None] > accuracy) | (cost[:, None] < cost)
    beaten = (at_least & better & known[:, None]).any(axis=0)
    return [bool(on) for on in known & ~beaten]
