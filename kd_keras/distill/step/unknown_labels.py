"""Examples whose label is unknown: which ones they are, and means over the others.

An unknown label is a class index that is not a class, usually -1, or a row of probabilities with a
negative value, such as a row of -1. A mixture of rows is unknown if a part of it is.
"""

import math
import numbers
import warnings
from collections.abc import Collection, Sequence
from typing import Any

import keras
from keras import ops

from kd_keras import losses, replicas
from kd_keras.data.stores.store import UNKNOWN
from kd_keras.distill.step import split_batch
from kd_keras.tensor_types import ExampleLosses, Labels, Logs, Tensor


def check_ignore_class(
    ignore_class: Any, *, num_classes: int, needs_labels: Sequence[str]
) -> int | None:
    """Returns `ignore_class`, the class index of an unknown label; None: every label is known.

    Args:
        ignore_class: what the user gives.
        num_classes: C of the student.
        needs_labels: names of the methods that need the label of every example.

    Raises:
        ValueError: it is one of the student's classes or no whole number, or a method needs labels.
    """
    if ignore_class is None:
        return None
    is_whole = isinstance(ignore_class, numbers.Integral) and not isinstance(ignore_class, bool)
    if not is_whole or 0 <= ignore_class < num_classes:
        raise ValueError(
            f"ignore_class is {ignore_class!r}; expected a whole number that is none of the "
            f"student's classes 0 to {num_classes - 1}. Give -1, the usual index of unknown labels."
        )
    if needs_labels:
        raise ValueError(
            f"ignore_class is {ignore_class}, so labels may be unknown, and the methods "
            f"{list(needs_labels)} need the label of every example; expected methods without "
            "labels, such as kd. `kdk list methods` says which need labels."
        )
    return int(ignore_class)


def known(labels: Labels, ignore_class: int) -> Tensor:
    """(B,) bool: whose label is known.

    Args:
        labels: (B,) int classes or (B, C) float probabilities.
        ignore_class: class index of an unknown label.
    """
    if losses.is_class_index(labels):
        return ops.not_equal(labels, ignore_class)
    return ops.logical_not(ops.any(labels < 0, axis=-1))  # a row with NaN is wrong, not unknown


def all_unknown(inputs: Any, needs_labels: Sequence[str]) -> Tensor:
    """(B,) int32 unknown labels for a batch of inputs that came without labels.

    Raises ValueError if something, named in `needs_labels`, cannot do without.
    """
    if needs_labels:
        raise ValueError(
            f"a batch came without labels, which are needed by: {', '.join(needs_labels)}; "
            "expected (x, y) or (x, y, sample_weight). Give labels, or train with methods that "
            "need none, such as kd."
        )
    return ops.full((ops.shape(keras.tree.flatten(inputs)[0])[0],), UNKNOWN, "int32")


def unknown_as_class_0(labels: Labels, known: Tensor) -> Labels:
    """The labels, where the unknown ones are class 0: a cross-entropy then has a value for each."""
    return ops.where(known, labels, 0) if losses.is_class_index(labels) else labels


def mean_of_known(example_losses: ExampleLosses, known: Tensor) -> Tensor:
    """Mean of the losses over this replica's examples whose label is known; 0 if there is none.

    Args:
        example_losses: (B,) float32, times sample weights; the number of known labels divides.
        known: (B,) bool.
    """
    return _sum(example_losses, known) / ops.maximum(count_known(known), 1.0)


def replica_part_of_mean(example_losses: ExampleLosses, known: Tensor) -> Tensor:
    """This replica's part of `mean_of_known` over all replicas' examples of a training batch.

    The parts, each multiplied by its replica's `split_batch.replica_fraction`, add up to that mean.
    """
    if replicas.count() == 1:
        return mean_of_known(example_losses, known)
    everywhere = replicas.summed(count_known(known))
    share = split_batch.replica_fraction(known.shape[0] or ops.shape(known)[0])
    return _sum(example_losses, known) / (ops.maximum(everywhere, 1.0) * share)


def count_known(known: Tensor) -> Tensor:
    """How many labels are known, a float32 scalar."""
    return ops.sum(ops.cast(known, "float32"))


def nan_unless(any_known: Tensor, logs: Logs, names: Collection[str]) -> Logs:
    """The logs, with NaN under `names` unless a label is known.

    Args:
        any_known: scalar bool, whether a label is known.
        logs: scalars by name.
        names: names of the logs that need labels; those that `logs` lacks stay out.
    """
    nan = {name: ops.where(any_known, logs[name], math.nan) for name in names if name in logs}
    return {**logs, **nan}


def warn_of_evaluation(names: Collection[str]) -> None:
    """Warns that an evaluation without known labels reports no logs of these names."""
    warnings.warn(
        f"all labels of the evaluated data are unknown, so {', '.join(sorted(names))} are not "
        "reported, and callbacks cannot monitor them; expected known labels. Evaluate with "
        "examples that have labels.",
        stacklevel=2,
    )


def _sum(example_losses: ExampleLosses, known: Tensor) -> Tensor:
    return ops.sum(ops.where(known, example_losses, 0.0))
