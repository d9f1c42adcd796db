"""The images of an export: training images for calibration, validation images for the check."""

import dataclasses

import keras
import numpy as np

from kd_keras.data import sample
from kd_keras.data.stores.store import Dataset
from kd_keras.exports.metadata import Metadata
from kd_keras.job.prediction import evaluation_data
from kd_keras.job.prediction.evaluation_data import DataOptions, KnownModel
from kd_keras.results.terminal.screen import Screen

FEWEST = 100  # calibration images
CHECKED = 1000  # validation images, at most
NOISE = 32  # images to check with where there is no dataset
NONE = "none"  # as a dataset: do not load the run's


@dataclasses.dataclass(frozen=True)
class ExportImages:
    """Images for an export.

    Attributes:
        shape: (H, W, C) of the images.
        check: uint8 (N, H, W, C), to compare the files on.
        labels: (N,) int32, or (N, C) of multi-label data; None if `check` is noise.
        calibration: uint8 (M, H, W, C); None without a dataset.
        metadata: class names, image shape and resizing, as far as they are known.
    """

    shape: tuple[int, int, int]
    check: np.ndarray
    labels: np.ndarray | None
    calibration: np.ndarray | None
    metadata: Metadata


def load(
    model: KnownModel, name: str | None, data_dir: str | None, screen: Screen
) -> Dataset | None:
    """The dataset: the named one, or else the run's; None if there is neither.

    Args:
        model: its metadata hold the image size, and its run the dataset.
        name: dataset to load; "none" loads none, and None that of the run.
        data_dir: folder with the dataset's own files; None: as in the run.
        screen: where the dataset's size and notes are shown.

    Raises:
        ValueError, FileNotFoundError, OSError: see `evaluation_data.load`.
    """
    if name == NONE or (name is None and model.run is None):
        return None
    options = DataOptions(name, data_dir)
    dataset = evaluation_data.load(model, options, progress=screen.progress, tell=screen.detail)
    screen.say(f"{dataset.name}: {dataset.summary()}")
    return dataset


def choose(
    dataset: Dataset | None,
    run_metadata: Metadata,
    shape: tuple[int | None, ...],
    *,
    calibration_images: int,
    seed: int,
) -> ExportImages:
    """Draws the images.

    Args:
        dataset: where to draw from; None: the check is on noise.
        run_metadata: what the model's run says about it.
        shape: (H, W, C) of the model's input; None where it takes any.
        calibration_images: number of training images, evenly from all classes.
        seed: seed of the choice.

    Raises:
        ValueError: the dataset's images or classes are not the model's, or there are too few.
    """
    if dataset is None:
        shape = shape if None not in shape else run_metadata.image_shape or shape
        return _noise(_fixed_shape(shape), run_metadata, seed)
    _check_fit(dataset, shape, run_metadata)
    multi_label = dataset.multi_label
    data_metadata = Metadata(dataset.class_names, dataset.image_shape, dataset.resize, multi_label)
    calibration_rows = sample.stratified_sample(dataset.train.labels, calibration_images, seed=seed)
    labels = _labels(dataset, run_metadata)
    check_rows = sample.stratified_sample(labels, CHECKED, seed=seed)
    size = _fixed_shape(
        tuple(b if a is None else a for a, b in zip(shape, dataset.image_shape, strict=True))
    )
    return ExportImages(
        shape=size,
        check=evaluation_data.images(dataset.validation.images_at(check_rows), size),
        labels=labels[check_rows],
        calibration=evaluation_data.images(dataset.train.images_at(calibration_rows), size),
        metadata=dataclasses.replace(run_metadata.filled_from(data_metadata), image_shape=size),
    )


def check_calibration(images: ExportImages) -> int:
    """The number of images to calibrate with.

    Raises:
        ValueError: there are too few to find the ranges of 8-bit numbers.
    """
    if images.calibration is None:
        raise ValueError(
            "quantize is int8 and there is no dataset; expected training images, which set the "
            "ranges of the 8-bit numbers. Give --dataset, or --quantize float16."
        )
    if len(images.calibration) < FEWEST:
        raise ValueError(
            f"the dataset has {len(images.calibration)} training images; expected at least "
            f"{FEWEST} to calibrate int8. Give a larger --dataset, or --quantize float16."
        )
    return len(images.calibration)


def _labels(dataset: Dataset, run_metadata: Metadata) -> np.ndarray:
    """The validation labels as numbers of the model's outputs, whose names it may know."""
    labels = dataset.validation.labels
    if run_metadata.class_names is None:
        return labels
    if dataset.multi_label:
        columns = [dataset.class_names.index(name) for name in run_metadata.class_names]
        return np.asarray(labels[:, columns])
    class_order = [run_metadata.class_names.index(name) for name in dataset.class_names]
    return np.take(np.array(class_order, labels.dtype), labels)


def _noise(shape: tuple[int, int, int], run_metadata: Metadata, seed: int) -> ExportImages:
    """Images of noise for the check, without labels or calibration images.

    Args:
        shape: (H, W, C) of the images.
        run_metadata: metadata of the model's run.
        seed: seed of the noise.
    """
    noise = np.random.default_rng(seed).integers(0, 256, (NOISE, *shape), dtype=np.uint8)
    return ExportImages(
        shape, noise, None, None, dataclasses.replace(run_metadata, image_shape=shape)
    )


def _fixed_shape(shape: tuple[int | None, ...]) -> tuple[int, int, int]:
    sizes = [size for size in shape if size is not None]
    if len(sizes) != 3:
        raise ValueError(
            f"the model takes images of {shape}, of any size; expected a size for the files. Give "
            "--dataset, whose image size the files then have."
        )
    return sizes[0], sizes[1], sizes[2]


def _check_fit(dataset: Dataset, shape: tuple[int | None, ...], run_metadata: Metadata) -> None:
    """Raises ValueError if the model was not trained on images and classes like these.

    Args:
        dataset: the dataset.
        shape: (H, W, C) that the model takes; None for an open size.
        run_metadata: metadata of the model's run.
    """
    height, width, channels = dataset.image_shape
    pairs = zip(shape, (height, width, channels), strict=True)
    sizes = [*pairs][: 2 if {channels, shape[2]} == {1, 3} else 3]
    if any(size not in (None, data_size) for size, data_size in sizes):
        raise ValueError(
            f"{dataset.name} has images of {dataset.image_shape}; expected {shape}, which the "
            "model takes. Give the dataset that it was trained on."
        )
    names = run_metadata.class_names
    if names is not None and sorted(names) != sorted(dataset.class_names):
        raise ValueError(
            f"{dataset.name} has the classes {_first_names(dataset.class_names)}; expected those "
            f"of the model, {_first_names(names)}. Give a dataset with the same classes."
        )


def check_classes(model: keras.Model, num_classes: int, names: tuple[str, ...] | None) -> None:
    """Raises ValueError unless there is a name for each class that the model gives.

    Args:
        model: the classifier.
        num_classes: number of its outputs.
        names: one name for each class; None: there are none to compare.
    """
    if names is not None and len(names) != num_classes:
        raise ValueError(
            f"{model.name} has {num_classes} classes, and its dataset or class names have "
            f"{len(names)} ({_first_names(names)}); expected as many. Give the dataset "
            "that it was trained on, or its --class-names."
        )


def _first_names(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
