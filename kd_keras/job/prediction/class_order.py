"""Brings a model's outputs into the order of a dataset's classes, by name."""

from collections.abc import Sequence

import numpy as np

from kd_keras.data import fault_report

_MAX_CLASSES = 5


def columns(
    model_names: Sequence[str] | None, class_names: Sequence[str], *, num_outputs: int, source: str
) -> np.ndarray | None:
    """Which output of the model belongs to each class of the dataset.

    Args:
        model_names: one for each output of the model; None if it has no names.
        class_names: the dataset's.
        num_outputs: outputs of the model.
        source: the model's path, for errors.

    Returns:
        (C,) int: scores[:, columns] are in the dataset's order. None if they are already, or if
        the model has no names.

    Raises:
        ValueError: the model has other classes than the dataset, or another number of them.
    """
    if num_outputs != len(class_names):
        raise ValueError(
            f"{source} has {num_outputs} classes{_first_names(model_names)}, and the dataset has "
            f"{len(class_names)}{_first_names(class_names)}; expected the same classes. Give a "
            "dataset with the model's classes, or a model of the dataset's."
        )
    if model_names is None or tuple(model_names) == tuple(class_names):
        return None
    indices = {name: index for index, name in enumerate(model_names)}
    missing_names = [name for name in class_names if name not in indices]
    if missing_names:
        other_names = [name for name in model_names if name not in class_names]
        raise ValueError(
            f"{source} has the classes {_list(other_names)}, which the dataset does not have, and "
            f"the dataset has {_list(missing_names)}; expected the same names. If only names "
            "differ, give the dataset's names in the order of the model's outputs with "
            "--class-names FILE."
        )
    return np.array([indices[name] for name in class_names])


def _first_names(names: Sequence[str] | None) -> str:
    return "" if names is None else f" ({_list(names)})"


def _list(names: Sequence[str]) -> str:
    return ", ".join(fault_report.shortened(list(names), _MAX_CLASSES))
