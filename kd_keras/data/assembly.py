"""Makes a dataset of a store: its hold-outs, hidden labels and images without labels."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kd_keras.data import hidden_labels, holdout, unlabelled
from kd_keras.data.notes import Note
from kd_keras.data.stores import make_store
from kd_keras.data.stores.make_store import Source
from kd_keras.data.stores.store import Dataset, Split, Store

_DIVIDED = ("train", "validation")


def from_store(
    source: Source, store: Store, val_fraction: float | None, train_holdout: float | None, seed: int
) -> Dataset:
    """The dataset that a store holds, with a hold-out where it lacks a validation split.

    Args:
        source: where the store's images come from.
        store: the store.
        val_fraction, train_holdout, seed: see `datasets.load`.

    Raises:
        ValueError: `val_fraction` for a dataset that has a validation split.
    """
    train, validation = store.splits["train"], store.splits.get("validation")
    fingerprint, notes = store.fingerprint, list(store.notes)
    if validation is not None and val_fraction is not None:
        raise ValueError(
            f"val_fraction is {val_fraction:g}, but {source.name} has a validation split; expected "
            "none. Leave --val-fraction out, or give --validate-on-holdout to use a tenth of train."
        )
    if validation is None:
        fraction = source.val_fraction if val_fraction is None else val_fraction
        holdout.check_fraction("val_fraction", fraction)
        rows, held_out = holdout.split_rows(train, fraction, seed=seed)
        train, validation = train.take(rows), train.take(held_out)
        note = _hold_out_note(fraction, len(held_out), store.splits.get("test"))
        notes.append(Note(note, *_DIVIDED))
        fingerprint += f"-val{fraction:g}.{seed}"
    if train_holdout is not None:
        holdout.check_fraction("train_holdout", train_holdout)
        rows, held_out = holdout.split_rows(train, train_holdout, seed=seed)
        train, validation = train.take(rows), train.take(held_out)
        note = f"{_hold_out_note(train_holdout, len(held_out))}, to choose settings by"
        notes.append(Note(note, *_DIVIDED))
        fingerprint += f"-select{train_holdout:g}.{seed}"
    return Dataset(
        name=source.name,
        train=train,
        validation=validation,
        test=store.splits.get("test"),
        class_names=store.class_names,
        image_shape=store.image_shape,
        augment=store.augment,
        fingerprint=fingerprint,
        resize=source.resize,
        notes=tuple(notes),
    )


def with_hidden_labels(dataset: Dataset, per_class: int, seed: int) -> Dataset:
    """The dataset with all but `per_class` labels of each class hidden from training.

    Args:
        dataset: the dataset, all of whose labels may be known.
        per_class: images of each class that keep their label, >= 1.
        seed: seed of the choice.
    """
    all_labels = dataset.train
    train_split = hidden_labels.hide(
        all_labels, per_class=per_class, class_names=dataset.class_names, seed=seed
    )
    note = Note(
        f"the student learns the labels of {per_class:,} of each class's images; those of the "
        f"other {(~train_split.known).sum():,} are hidden from it",
        "train",
    )
    return replace(
        dataset, train=train_split, train_with_all_labels=all_labels, notes=(*dataset.notes, note)
    )


def with_unlabelled(
    dataset: Dataset,
    names: Sequence[str],
    *,
    data_dir: str | os.PathLike[str] | None,
    **options: Any,
) -> Dataset:
    """The dataset, whose `train` has the images of other sources too, without labels.

    Args:
        dataset: the dataset.
        names: names of the sources, see `datasets.load`.
        data_dir: the folder of TensorFlow Datasets.
        options: see `make_store.ensure`.
    """
    shape = dataset.train.images.shape[1:]
    path = None if data_dir is None else Path(data_dir).expanduser()
    stores: dict[str, Store] = {}
    notes = list(dataset.notes)
    for name in dict.fromkeys(names):
        source = unlabelled.source(name, shape=shape, resize=dataset.resize, data_dir=path)
        store = make_store.ensure(source, **options)
        stores[source.name] = store
        images = f"{len(store.splits['train']):,} images without labels from {source.name}"
        text = ": ".join([images, *filter(None, ["; ".join(store.notes)])])
        notes.append(Note(text, "train"))
    unlabelled.require_others(dataset, stores)
    train = unlabelled.joined(dataset.train, list(stores.values()))
    return replace(
        dataset,
        train=train,
        train_with_all_labels=dataset.train_with_all_labels or dataset.train,
        notes=tuple(notes),
    )


def _hold_out_note(fraction: float, num_held_out: int, test: Split | None = None) -> str:
    """The note about images of train that validate.

    Args:
        fraction: share of train that is held out, 0 to 1.
        num_held_out: number of held-out images.
        test: the test split; None: there is none.
    """
    note = f"holding out {100 * fraction:g} % of train ({num_held_out:,} images) as validation"
    return note if test is None else f"{note}; test stays a test split, used for neither"
