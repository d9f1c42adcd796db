"""Chooses the training examples that are held out for validation."""

from dataclasses import replace

import numpy as np

from kd_keras import check
from kd_keras.data import hashing
from kd_keras.data.notes import Note
from kd_keras.data.stores.store import Dataset, Split

_PURPOSE = 0x686F6C64  # "hold": keeps these bits apart from those of the order and the views
_STOPPING = 1  # seed of what is held out to stop by; the other hold-outs take 0


def stratified_split(
    labels: np.ndarray, fraction: float, *, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Splits examples in two; each class is split in the same proportion.

    Args:
        labels: (N,) int.
        fraction: share of every class to hold out, above 0 and below 1; of a class of two or more
            at least one example is held out and at least one stays.
        seed: seed of the choice.

    Returns:
        Positions that stay and positions held out, (n,) and (m,) int64, each ascending.
    """
    check_fraction("fraction", fraction)
    random_order = np.argsort(
        hashing.random_bits(np.arange(len(labels)), _PURPOSE, seed), kind="stable"
    )
    # One class after the other.
    rows_by_class = random_order[np.argsort(labels[random_order], kind="stable")]
    starts = np.flatnonzero(np.diff(labels[rows_by_class], prepend=np.nan))
    held_out = np.zeros(len(labels), bool)
    for start, size in zip(starts, np.diff(starts, append=len(labels)), strict=True):
        num_images = min(max(round(int(size) * fraction), 1), int(size) - 1)
        held_out[rows_by_class[start : start + num_images]] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def multi_label_split(
    labels: np.ndarray, fraction: float, *, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """As `stratified_split`, for examples that may have several classes.

    The classes are held out one after the other, the rarest first, each from its examples that no
    class before had; examples of no class come last. An example that is the last one left of any of
    its classes is not held out. So the shares are only nearly equal.

    Args:
        labels: (N, C) int, 1 for each class that an example has, else 0.
        fraction, seed: see `stratified_split`.

    Source: the order of the classes is that of Sechidis, Tsoumakas, Vlahavas 2011, "On the
    Stratification of Multi-label Data", section 3.
    """
    check_fraction("fraction", fraction)
    random_order = np.argsort(
        hashing.random_bits(np.arange(len(labels)), _PURPOSE, seed), kind="stable"
    )
    held_out, is_free = np.zeros(len(labels), bool), np.ones(len(labels), bool)
    num_left = (labels == 1).sum(axis=0)  # training examples of each class
    for label in np.argsort((labels == 1).sum(axis=0), kind="stable"):
        class_rows = random_order[labels[random_order, label] == 1]
        num_images = min(max(round(len(class_rows) * fraction), 1), len(class_rows) - 1)
        num_missing = num_images - int(held_out[class_rows].sum())
        for example in class_rows[is_free[class_rows]]:
            if num_missing > 0 and (num_left[labels[example] == 1] > 1).all():
                held_out[example] = True
                num_left -= labels[example] == 1
                num_missing -= 1
        is_free[class_rows] = False
    free_examples = random_order[is_free[random_order]]
    held_out[free_examples[: round(len(free_examples) * fraction)]] = True
    if not held_out.any():  # classes of one example each
        held_out[random_order[0]] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def split_rows(split: Split, fraction: float, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """`stratified_split` or `multi_label_split`, whichever suits the split's labels.

    Args:
        split: labelled examples.
        fraction: share of every class to hold out, above 0 and below 1.
        seed: seed of the choice.
    """
    divide = multi_label_split if split.multi_label else stratified_split
    return divide(split.labels, fraction, seed=seed)


def for_stopping(data: Dataset, fraction: float) -> Dataset:
    """The dataset with a stratified share of its labelled training examples held out.

    They are its `stopping`, by which a training may end: never by the validation split, on which
    accuracy is reported.

    Args:
        data: the dataset.
        fraction: share of the labelled training examples to hold out, above 0 and below 1.

    Raises:
        ValueError: no class has two labelled examples.
    """
    labelled_rows = np.flatnonzero(data.train.known)
    _, chosen_positions = split_rows(data.train.take(labelled_rows), fraction, seed=_STOPPING)
    held_out_rows = labelled_rows[chosen_positions]
    if not len(held_out_rows):
        raise ValueError(
            f"no class of the {len(data.train)} training images has two labelled ones; expected "
            "some, to hold out one of them. Leave --stop-early out."
        )
    train_rows = np.setdiff1d(np.arange(len(data.train)), held_out_rows)
    all_labels = data.train_with_all_labels
    if all_labels is not None:
        stays = ~np.isin(all_labels.ids, data.train.ids[held_out_rows])
        all_labels = all_labels.take(np.flatnonzero(stays))
    note = Note(
        f"holding out {100 * fraction:g} % of train ({len(held_out_rows):,} images) to stop early "
        "by",
        "train",
    )
    return replace(
        data,
        train=data.train.take(train_rows),
        train_with_all_labels=all_labels,
        stopping=data.train.take(held_out_rows),
        notes=(*data.notes, note),
    )


def check_fraction(what: str, fraction: float) -> None:
    """Raises ValueError unless a share to hold out is above 0 and below 1.

    Args:
        what: the argument, as the message names it.
        fraction: the share.
    """
    check.number(what, fraction, above=0)
    if fraction >= 1:
        raise ValueError(f"{what} is {fraction:g}; expected less than 1, such as 0.1.")
