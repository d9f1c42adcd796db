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
    is_known = np.array([cost is not None for cost in costs], bool)
    accuracy = np.asarray(accuracies, np.float64)
    cost = np.array(
        [np.inf if model_cost is None else model_cost for model_cost in costs], np.float64
    )
    at_least = (accuracy[:, None] >= accuracy) & (cost[:, None] <= cost)  # (other, model)
    is_better = (accuracy[:, None] > accuracy) | (cost[:, None] < cost)
    is_beaten = (at_least & is_better & is_known[:, None]).any(axis=0)
    return [bool(is_on_front) for is_on_front in is_known & ~is_beaten]
