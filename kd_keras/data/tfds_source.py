"""Any image classification set of TensorFlow Datasets, by its name there."""

import dataclasses
import difflib
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras.data.prepare import Source
from kd_keras.data.progress import Progress, silent
from kd_keras.data.store_writer import Contents

# A mirrored character is another one, or none.
_CHARACTERS = ("mnist", "svhn", "omniglot", "cmaterdb")
_RESIZE = "squash"
_SAMPLE = 1000  # images whose sizes stand for those of the set
# TensorFlow Datasets' ten tries, each twice as long, keep one without a network waiting 204 s.
_RETRIES = 4


def source(
    name: str, *, data_dir: Path | None, image_size: int | None, resize: str | None
) -> Source:
    """The set `name`, with config and version where wanted: cifar100, or cifar10_1/v6:1.1.0.

    Its own files stay in TensorFlow Datasets' folder, `data_dir` or ~/tensorflow_datasets, where
    other programs find them too.
    """
    builder = _builder(name, data_dir)
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


def _builder(name: str, data_dir: Path | None) -> Any:
    import tensorflow_datasets as tfds

    try:
        return tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        near = difflib.get_close_matches(name, tfds.list_builders(), n=1)
        hint = f" Did you mean tfds:{near[0]}?" if near else ""
        raise ValueError(
            f"TensorFlow Datasets knows no {name!r}; expected a name of its catalogue.{hint}"
        ) from error
    except AssertionError as error:  # what it raises for a version it does not have
        raise ValueError(f"tfds:{name} cannot be had: {error}") from error


def _contents(
    folder: Path, progress: Progress, *, builder: Any, image_size: int | None, resize: str
) -> Contents:
    from kd_keras.data import sizes, tfds_records

    image, label = _keys(builder)
    _prepare(builder, show_bars=progress is not silent and sys.stderr.isatty())
    splits = _splits(builder)
    shapes = tfds_records.shapes(builder, splits["train"], image, at_most=_SAMPLE)
    size, notes = (image_size, []) if image_size else sizes.default(shapes)
    notes += sizes.aspect(shapes, resize) if size else []
    contents = tfds_records.contents(
        builder, splits, size=size, resize=resize, image=image, label=label
    )
    return dataclasses.replace(contents, notes=(*_notes(builder), *notes))


def _keys(builder: Any) -> tuple[str, str]:
    """The names of the one image and its one class."""
    import tensorflow_datasets as tfds

    features = builder.info.features
    images = [key for key, kind in features.items() if isinstance(kind, tfds.features.Image)]
    labels = [key for key, kind in features.items() if isinstance(kind, tfds.features.ClassLabel)]
    chosen = builder.info.supervised_keys or (*images[:1], *labels[:1])
    sound = len(chosen) == 2 and chosen[0] in images and chosen[1] in labels
    if not sound or features[chosen[0]].np_dtype != np.uint8:
        raise ValueError(
            f"tfds:{builder.info.name} has the features {dict(features.items())}; expected an "
            "8-bit image and a class label. It is no image classification set."
        )
    return chosen


def _splits(builder: Any) -> dict[str, str]:
    there = list(builder.info.splits)
    if "train" not in there:
        raise ValueError(
            f"tfds:{builder.info.name} has the splits {there}; expected one named train."
        )
    held = next((name for name in ("validation", "test") if name in there), None)
    return {"train": "train"} | ({"validation": held} if held else {})


def _notes(builder: Any) -> tuple[str, ...]:
    held = _splits(builder).get("validation")
    return ("the test split is used as validation",) if held == "test" else ()


def _prepare(builder: Any, *, show_bars: bool) -> None:
    import requests
    from tensorflow_datasets.core.download import downloader, util

    from kd_keras.data import tfds_records

    retries, downloader.MAX_RETRIES = downloader.MAX_RETRIES, _RETRIES
    try:
        tfds_records.prepare(builder, show_bars=show_bars)
    except (requests.RequestException, util.DownloadError) as error:
        raise ConnectionError(
            f"tfds:{builder.info.name} cannot be downloaded ({error}). Give --data-dir a folder in "
            "which TensorFlow Datasets prepared it, or try --recipe quickstart, whose data are "
            "embedded."
        ) from error
    except AssertionError as error:  # what it raises where files must be fetched by hand
        raise ValueError(f"tfds:{builder.info.name} is not prepared: {error}") from error
    finally:
        downloader.MAX_RETRIES = retries
