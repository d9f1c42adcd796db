"""Any image classification dataset of TensorFlow Datasets, by its name there."""

import dataclasses
import difflib
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras.data.progress import Progress, silent
from kd_keras.data.stores.make_store import Source
from kd_keras.data.stores.store_writer import Contents

# A mirrored character is a different character, or none.
_CHARACTERS = ("mnist", "svhn", "omniglot", "cmaterdb")
_RESIZE = "squash"
_SAMPLE = 1000  # number of images that the default size is computed from


def source(
    name: str, *, data_dir: Path | None, image_size: int | None, resize: str | None
) -> Source:
    """The dataset `name`; config and version are optional: cifar100, or cifar10_1/v6:1.1.0.

    Its own files stay in TensorFlow Datasets' folder, `data_dir` or ~/tensorflow_datasets, where
    other programs find them too.

    Args:
        name: name of the dataset.
        data_dir: folder of TensorFlow Datasets; None: ~/tensorflow_datasets.
        image_size: height and width in pixels; None: the images' own size, or their median.
        resize: how images become square; None: squash.
    """
    builder = builder_of(name, data_dir)
    resize = resize or _RESIZE
    return Source(
        name=f"tfds:{name}",
        kind=f"tfds:{name}",
        settings={"name": builder.info.full_name, "image_size": image_size, "resize": resize},
        state=builder.info.full_name,
        flip=not any(word in builder.info.name for word in _CHARACTERS),
        val_fraction=0.1,
        contents=partial(_contents, builder=builder, image_size=image_size, resize=resize),
        resize=resize,
    )


def builder_of(name: str, data_dir: Path | None) -> Any:
    """The tfds.core.DatasetBuilder of this name; raises ValueError if there is none.

    Args:
        name: name of the dataset, with a config and version if wanted: cifar10_1/v6:1.1.0.
        data_dir: folder of prepared datasets; None: ~/tensorflow_datasets.
    """
    import tensorflow_datasets as tfds

    from kd_keras.data.tfds import tfds_workarounds

    try:
        return tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        close_matches = difflib.get_close_matches(name, tfds.list_builders(), n=1)
        hint = f" Did you mean tfds:{close_matches[0]}?" if close_matches else ""
        raise ValueError(
            f"TensorFlow Datasets has no dataset {name!r}; expected a name from its "
            f"catalogue.{hint}"
        ) from error
    except tfds_workarounds.UnknownVersion as error:
        raise ValueError(f"tfds:{name} does not exist in this version: {error}") from error


def _contents(
    folder: Path, progress: Progress, *, builder: Any, image_size: int | None, resize: str
) -> Contents:
    from kd_keras.data.images import sizes
    from kd_keras.data.tfds import tfds_records

    image, label = _keys(builder)
    prepare_files(builder, progress)
    splits = _splits(builder)
    shapes = tfds_records.shapes(builder, splits["train"], image, at_most=_SAMPLE)
    size, notes = (image_size, []) if image_size else sizes.default_size(shapes)
    notes += sizes.aspect(shapes, resize) if size else []
    contents = tfds_records.contents(
        builder, splits, size=size, resize=resize, image=image, label=label
    )
    return dataclasses.replace(contents, notes=(*_notes(builder), *notes))


def _keys(builder: Any) -> tuple[str, str]:
    """Names of the features that hold the image and its class."""
    import tensorflow_datasets as tfds

    features = builder.info.features
    images = [key for key, feature in features.items() if isinstance(feature, tfds.features.Image)]
    labels = [
        key for key, feature in features.items() if isinstance(feature, tfds.features.ClassLabel)
    ]
    keys = builder.info.supervised_keys or (*images[:1], *labels[:1])
    is_valid = len(keys) == 2 and keys[0] in images and keys[1] in labels
    if not is_valid or features[keys[0]].np_dtype != np.uint8:
        raise ValueError(
            f"tfds:{builder.info.name} has the features {dict(features.items())}; expected an "
            "8-bit image and a class label. It is not an image classification dataset."
        )
    return keys


def _splits(builder: Any) -> dict[str, str]:
    """Names of the store's splits, and of the builder's split that each is read from."""
    names = list(builder.info.splits)
    if "train" not in names:
        raise ValueError(
            f"tfds:{builder.info.name} has the splits {names}; expected one named train."
        )
    validation = next((name for name in ("validation", "test") if name in names), None)
    return {"train": "train"} | ({"validation": validation} if validation else {})


def _notes(builder: Any) -> tuple[str, ...]:
    validation = _splits(builder).get("validation")
    return ("the test split is used as validation",) if validation == "test" else ()


def image_key(builder: Any) -> str:
    """Name of the feature that holds the image, of a dataset that needs no classes.

    Raises:
        ValueError: the dataset has no 8-bit image.
    """
    import tensorflow_datasets as tfds

    features = builder.info.features
    images = [
        key
        for key, feature in features.items()
        if isinstance(feature, tfds.features.Image) and feature.np_dtype == np.uint8
    ]
    if not images:
        raise ValueError(
            f"tfds:{builder.info.name} has the features {dict(features.items())}; expected an "
            "8-bit image. Choose a dataset of images."
        )
    return str(images[0])


def prepare_files(builder: Any, progress: Progress) -> None:
    """Downloads and prepares a builder's files, unless they are there.

    Raises:
        ConnectionError: they cannot be downloaded.
        ValueError: they must be downloaded by hand.
    """
    import requests
    from tensorflow_datasets.core.download import util

    from kd_keras.data.tfds import tfds_records, tfds_workarounds

    show_bars = progress is not silent and sys.stderr.isatty()
    try:
        tfds_records.prepare(builder, show_bars=show_bars)
    except (requests.RequestException, util.DownloadError) as error:
        raise ConnectionError(
            f"tfds:{builder.info.name} cannot be downloaded ({error}). Give --data-dir a folder in "
            "which TensorFlow Datasets prepared it, or try --recipe quickstart, whose data are "
            "embedded."
        ) from error
    except tfds_workarounds.FilesMissing as error:
        raise ValueError(f"tfds:{builder.info.name} is not prepared: {error}") from error
