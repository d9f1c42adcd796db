"""Chooses the training examples that are held out for validation."""

from dataclasses import replace

import numpy as np

from kd_keras import check
from kd_keras.data import hashing
from kd_keras.data.store import Dataset

_PURPOSE = 0x686F6C64  # "hold": keeps these bits apart from those of the order and the views
_STOPPING = 1  # seed of what is held out to stop by; the other hold-outs take 0


def stratified(
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
    check.number("fraction", fraction, above=0)
    if fraction >= 1:
        raise ValueError(f"val_fraction is {fraction:g}; expected less than 1, such as 0.1.")
    shuffled = np.argsort(hashing.hashed(np.arange(len(labels)), _PURPOSE, seed), kind="stable")
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]  # one class after the other
    starts = np.flatnonzero(np.diff(labels[by_class], prepend=np.nan))
    held_out = np.zeros(len(labels), bool)
    for start, size in zip(starts, np.diff(starts, append=len(labels)), strict=True):
        count = min(max(round(int(size) * fraction), 1), int(size) - 1)
        held_out[by_class[start : start + count]] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def for_stopping(data: Dataset, fraction: float) -> Dataset:
    """The dataset with a stratified share of its labelled training examples held out.

    They are its `stopping`, by which a training may end: never by the validation split, on which
    accuracy is reported.

    Raises:
        ValueError: no class has two labelled examples.
    """
    labelled = np.flatnonzero(data.train.labels >= 0)
    _, chosen = stratified(data.train.labels[labelled], fraction, seed=_STOPPING)
    held_out = labelled[chosen]
    if not len(held_out):
        raise ValueError(
            f"no class of the {len(data.train)} training images has two labelled ones; expected "
            "some, to hold out one of them. Leave --stop-early out."
        )
    rest = np.setdiff1d(np.arange(len(data.train)), held_out)
    every = data.train_with_all_labels
    if every is not None:
        every = every.take(np.flatnonzero(~np.isin(every.ids, data.train.ids[held_out])))
    note = f"holding out {100 * fraction:g} % of train ({len(held_out):,} images) to stop early by"
    return replace(
        data,
        train=data.train.take(rest),
        train_with_all_labels=every,
        stopping=data.train.take(held_out),
        notes=(*data.notes, note),
    )
