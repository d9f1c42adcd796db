"""Hides labels of training images: which ones keep theirs is a pure function of (seed, id)."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kd_keras import check
from kd_keras.data import hashing
from kd_keras.data.stores.store import UNKNOWN, Split

_PURPOSE = 0x6C61626C  # "labl": keeps these bits apart from those of the order and the hold-outs


def hide(split: Split, *, per_class: int, class_names: Sequence[str], seed: int = 0) -> Split:
    """The split with the labels of `per_class` images of each class; all others are unknown.

    A larger number keeps the labels that a smaller one keeps.

    Args:
        split: examples; some labels may be unknown already.
        per_class: images of each class that keep their label, >= 1.
        class_names: one for each label.
        seed: seed of the choice.

    Raises:
        ValueError: a class has fewer labelled images, or images have several classes.
    """
    check.whole_number("labels_per_class", per_class, at_least=1)
    if split.multi_label:
        raise ValueError(
            f"labels_per_class is {per_class:,}, and an image may have several classes, so that no "
            "number of images of each class can be chosen; expected labels of one class. Leave "
            "--labels-per-class out; --unlabelled adds images without labels."
        )
    class_sizes = np.bincount(split.labels[split.labels >= 0], minlength=len(class_names))
    rarest_class = int(class_sizes.argmin())
    if class_sizes[rarest_class] < per_class:
        raise ValueError(
            f"labels_per_class is {per_class:,}, but the class {class_names[rarest_class]!r} has "
            f"{class_sizes[rarest_class]:,} labelled training images; expected at most that. Give "
            f"--labels-per-class {class_sizes[rarest_class]} or less, or leave it out to use all "
            "labels."
        )
    random_order = np.argsort(hashing.random_bits(split.ids, _PURPOSE, seed), kind="stable")
    rows_by_class = random_order[np.argsort(split.labels[random_order], kind="stable")]
    _, starts, sizes = np.unique(split.labels[rows_by_class], return_index=True, return_counts=True)
    rank = np.arange(len(split)) - np.repeat(starts, sizes)  # of each example within its class
    labels = np.full_like(split.labels, UNKNOWN)
    labelled_rows = rows_by_class[rank < per_class]
    labels[labelled_rows] = split.labels[labelled_rows]
    return replace(split, labels=labels)
