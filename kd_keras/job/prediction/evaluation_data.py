"""The labelled images that a model is evaluated on: the run's own, or any dataset's."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from kd_keras import check, data
from kd_keras.data.notes import Note
from kd_keras.data.stores.store import Dataset, Split
from kd_keras.exports.metadata import Metadata
from kd_keras.job.images.dataset import TRAIN_HOLDOUT
from kd_keras.job.recipe import recipe_files
from kd_keras.results.run_files import run_data

# Rec. 601 luma in fixed point, as Pillow computes it: equal channels keep their value.
_BITS = 16
_LUMA = np.array([19595, 38470, 7471], np.uint32)
_HALF = np.uint32(1 << (_BITS - 1))
SPLITS = ("validation", "test", "train", "all")


class KnownModel(Protocol):
    """A model with what is known about it: an `OpenedModel` or a `ModelArgument`."""

    @property
    def path(self) -> Path: ...
    @property
    def metadata(self) -> Metadata: ...
    @property
    def run(self) -> Path | None: ...


@dataclasses.dataclass(frozen=True)
class DataOptions:
    """Which images: `dataset` None is the run's; other None values are those of the run.

    See `data.load` for all fields.
    """

    dataset: str | None = None
    data_dir: str | None = None
    image_size: int | None = None
    resize: str | None = None
    val_fraction: float | None = None
    label_mode: str | None = None


def load(
    model: KnownModel,
    options: DataOptions,
    *,
    progress: Any = None,
    tell: Callable[[str], None] = lambda note: None,
) -> Dataset:
    """The dataset in the size that the model takes.

    Args:
        model: its run gives the dataset and its hold-out, unless the options do.
        options: what to load.
        progress: see `data.load`.
        tell: gets notes on the data.

    Raises:
        ValueError, OSError: there is no dataset, or none of the model's size.
    """
    settings = _run_settings(model, options) or _model_settings(model)
    settings |= {k: v for k, v in dataclasses.asdict(options).items() if v is not None}
    name = settings.pop("dataset", None)
    if name is None:
        raise ValueError(
            f"{model.path} lies in no run folder, and no dataset is given; expected one to "
            "evaluate it on. Give it with --dataset, such as folder:PATH."
        )
    settings.setdefault("label_mode", "multi" if model.metadata.multi_label else "single")
    dataset = data.load(name, **settings, progress=progress, tell=tell)
    _check_shape(model, dataset)
    for note in _doubts(model, options, dataset):
        tell(note)
    return dataset


def split_of(dataset: Dataset, split: str) -> Split:
    """The labelled examples of a split; "all" is every labelled example, whatever its split.

    Args:
        dataset: the dataset.
        split: "train", "validation", "test" or "all".

    Raises:
        ValueError: there is no such split, or it has no labels.
    """
    check.one_of("split", split, SPLITS)
    if split == "all":
        return _all_labelled(dataset)
    chosen_split: Split | None = getattr(dataset, split)
    if chosen_split is None:
        split_names = "train and validation" if split == "test" else "no such split"
        raise ValueError(
            f"split is {split!r}, but {dataset.name} has {split_names} only. Choose one of these, "
            "or put the images into a folder test/ with one folder a class."
        )
    if (chosen_split.labels < 0).any():
        raise ValueError(
            f"the {split} split of {dataset.name} has no labels; expected a labelled one. Choose "
            "--split validation."
        )
    return chosen_split


def images(batch: np.ndarray, shape: tuple[int, int, int] | None) -> np.ndarray:
    """A batch as a model of `shape` takes it: grey becomes three equal channels, colours grey.

    Args:
        batch: (B, H, W, C) uint8, C 1 or 3.
        shape: (H, W, C) that the model takes; None takes any.
    """
    if shape is not None and shape[2] == 3 and batch.shape[3] == 1:
        return np.repeat(batch, 3, axis=3)
    if shape is not None and shape[2] == 1 and batch.shape[3] == 3:
        return (batch @ _LUMA + _HALF >> _BITS).astype(np.uint8)[..., None]
    return batch


def _run_settings(model: KnownModel, options: DataOptions) -> dict[str, Any]:
    """The settings that the model's run loaded its dataset with; {} for a different dataset."""
    if model.run is None:
        return {}
    recipe = recipe_files.load(model.run)
    data_of_run = _data_of_run(model.run)
    name = data_of_run.dataset if data_of_run else recipe.dataset  # with an absolute path, if known
    if options.dataset not in (None, name, recipe.dataset):
        return {}
    shape = model.metadata.image_shape
    # as of a larger teacher
    other_size = data_of_run and shape and shape[0] != data_of_run.image_shape[0]
    size_settings: dict[str, Any] = {}
    if not other_size and options.image_size is None:
        names = ("augment", "store_size", "eval_crop")  # the policy decides the default size
        size_settings = {name: getattr(recipe, name) for name in names}
    return size_settings | {
        "dataset": name,
        "label_mode": recipe.label_mode,
        "data_dir": recipe.data_dir,
        "image_size": shape[0] if other_size and shape else recipe.image_size,
        "resize": recipe.resize,
        "val_fraction": recipe.val_fraction,
        "train_holdout": TRAIN_HOLDOUT if recipe.validate_on_holdout else None,
    }


def _model_settings(model: KnownModel) -> dict[str, Any]:
    shape = model.metadata.image_shape
    return {"image_size": shape and shape[0], "resize": model.metadata.resize}


def _data_of_run(run: Path) -> run_data.RunData | None:
    """What the run says about its data; None for a run of an earlier version."""
    return run_data.read(run) if (run / run_data.NAME).is_file() else None


def _check_shape(model: KnownModel, dataset: Dataset) -> None:
    shape = model.metadata.image_shape
    height, width, channels = dataset.image_shape
    if shape is None or (shape[:2] == (height, width) and {channels, shape[2]} <= {1, 3}):
        return
    raise ValueError(
        f"{model.path} takes images of {_size_text(shape)}, and those of {dataset.name} are "
        f"{_size_text(dataset.image_shape)}; expected one shape. Give --image-size {shape[0]}, or "
        "a dataset of such images."
    )


def _size_text(shape: tuple[int, int, int]) -> str:
    return "x".join(map(str, shape))


def _doubts(model: KnownModel, options: DataOptions, dataset: Dataset) -> Iterator[str]:
    """Notes on data for which the accuracy may be misleading.

    Args:
        model: the model.
        options: the dataset's options.
        dataset: the dataset that is loaded.
    """
    data_of_run = None if model.run is None else _data_of_run(model.run)
    if model.metadata.image_shape and model.metadata.image_shape[2] < dataset.image_shape[2]:
        yield "the model takes grey images: colours are turned into grey"
    if model.run is None and dataset.fingerprint != dataset.store_fingerprint:
        yield Note(
            f"{model.path.name} lies in no run folder, so the validation images are a share of "
            f"{dataset.name} that is held out now; whether the model was trained on some of them "
            "is not known. For every labelled image, give --split all; for another share, "
            "--val-fraction X",
            "validation",
        )
    same_data = data_of_run is not None and data_of_run.dataset == dataset.name
    same_size = data_of_run is not None and data_of_run.image_shape == dataset.image_shape
    if data_of_run and same_data and same_size and data_of_run.fingerprint != dataset.fingerprint:
        yield (
            "the dataset, or what is held out of it, differs from that of the run: images that the "
            "model was trained on may be among these"
        )


def _all_labelled(dataset: Dataset) -> Split:
    """All labelled examples of the stores' files, which must be one file to be one split."""
    splits = [dataset.train, dataset.validation, dataset.test]
    labelled_splits = [s for s in splits if s is not None and not (s.labels < 0).any()]
    if all(split.images is labelled_splits[0].images for split in labelled_splits):
        first = labelled_splits[0]
        order = np.argsort(np.concatenate([split.ids for split in labelled_splits]), kind="stable")
        return dataclasses.replace(
            first,
            labels=np.concatenate([split.labels for split in labelled_splits])[order],
            ids=np.concatenate([split.ids for split in labelled_splits])[order],
        )
    raise ValueError(
        f"split is 'all', but {dataset.name} has several splits of its own; expected one of "
        "train, validation and test. Evaluate each of them."
    )
