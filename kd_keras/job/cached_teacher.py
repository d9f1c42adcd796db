"""A run's rows of its teacher: of the cache that it names, else found, or made where it pays."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kd_keras import data as sources
from kd_keras import losses
from kd_keras.data import pipeline
from kd_keras.data.store import Dataset, Split
from kd_keras.distill.teacher import Teacher
from kd_keras.job import build
from kd_keras.job.recipe_files import Recipe
from kd_keras.results import paths
from kd_keras.results.screen import Screen
from kd_keras.teacher_cache import file_format, fingerprint, keras_teacher, writer
from kd_keras.teacher_cache.file_format import Header
from kd_keras.teacher_cache.reader import Cache
from kd_keras.teacher_cache.writer import Ask

FOLDER = "teachers"  # beside the stores


def from_cache(asked: Recipe, data: Dataset, *, views_per_image: int) -> Cache | None:
    """The recipe's teacher where it is a cache, checked to be of these data; None of a model.

    Raises:
        ValueError: a cache of other data, augmentation or views; one that is damaged; `views` 0.
        FileNotFoundError: no cache there.
    """
    folder = build.cache_of(asked)
    if folder is None:
        return None
    header = file_format.read_header(folder)
    if not asked.views:
        most = max(1, header.views // views_per_image)
        raise ValueError(
            f"views is 0, a new view of each image every epoch, and the teacher is a cache of "
            f"{header.views}; expected 1 to {most}. Give --views {most}."
        )
    rows = Cache(folder, views=pipeline.total_views(asked.views, views_per_image))
    expected = writer.header_for(
        data,
        teacher=header.teacher,
        outputs={file_format.LOGITS: (len(data.class_names),)},
        views=rows.views,
        view_seed=asked.view_seed,
    )
    rows.require(expected, data.train.ids)
    return rows


def top1(rows: Cache, split: Split) -> float:
    """Share, 0 to 1, of the split's images in whose first view the teacher recognises the class."""
    right = 0
    for places in np.array_split(np.arange(len(split)), -(-len(split) // 4096)):
        logits = rows(split.ids[places], 0)[file_format.LOGITS]
        right += int(np.sum(losses.in_top(split.labels[places], logits)))
    return right / len(split)


def from_model(
    asked: Recipe,
    data: Dataset,
    teacher: keras.Model,
    taps: Sequence[str],
    *,
    views_per_image: int,
    precision: str,
    screen: Screen,
) -> Cache | None:
    """The teacher's rows for a training of the recipe; None where it runs beside the student.

    A cache that is there is used; one is made where the teacher would see the same views again.

    Args:
        asked: the recipe; its `views`, `epochs` and `cache` decide.
        data: the training images.
        teacher: trained.
        taps: of the teacher, that the methods read.
        views_per_image: that the methods need in a batch.
        precision: that the teacher computes in.
        screen: where it is told.

    Raises:
        ValueError: `cache` is "always" and cannot be; a cache that is damaged.
        OSError: the disk is full, or the like.
    """
    outputs = outputs_of(teacher, taps)
    reason = _why_not(asked, outputs)
    if reason:
        if asked.cache == "always":
            raise ValueError(f"cache is 'always', but {reason}. Leave --cache out, or change it.")
        return None
    header = writer.header_for(
        data,
        teacher=fingerprint.fingerprint(teacher),
        outputs=outputs,
        views=pipeline.total_views(asked.views, views_per_image),
        view_seed=asked.view_seed,
        precision=precision,
        about={"teacher": teacher.name},
    )
    folder = _standing(header, data.train.ids)
    if folder is None:
        if asked.cache == "auto" and asked.epochs < asked.views:
            return None  # not even all views would be seen
        folder = folder_of(header, data.train.ids)
        try:
            ask = keras_teacher.ask_of(teacher, taps, precision=precision)
            made(folder, header, data, ask, screen)
        except OSError as error:
            if asked.cache == "always":
                raise
            screen.warn(f"no cache: {error.strerror or error}; the teacher runs beside the student")
            return None
    rows = Cache(folder, views=header.views)
    rows.require(header, data.train.ids)
    screen.say(
        f"teacher's outputs come from the cache {paths.shown_with_size(folder)}, {header.views} "
        "views; the teacher does not run beside the student"
    )
    return rows


def made(
    folder: Path,
    header: Header,
    data: Dataset,
    ask: Ask,
    screen: Screen,
    *,
    shard: tuple[int, int] = (0, 1),
) -> None:
    """Writes a cache, or the i-th of n parts of it, telling its size first, not its folder."""
    views = header.views
    share = f", part {shard[0]} of {shard[1]}" if shard[1] > 1 else ""
    screen.say(
        f"caching the teacher's {' and '.join(header.outputs)}: {views} "
        f"view{'s' if views > 1 else ''} of {header.examples:,} images, "
        f"{paths.megabytes(views * header.bytes_per_view)}{share}"
    )
    total = sum(1 for _ in file_format.tasks(header, shard)) * header.rows_per_part
    with screen.progress("caching", min(total, views * header.examples)) as advance:
        writer.make(folder, header, data.train, ask, shard=shard, advance=advance)


def folder_of(header: Header, ids: np.ndarray) -> Path:
    """Where a run's cache lies unless told otherwise; follows from what it is made of."""
    examples = hashlib.sha256(np.sort(ids).tobytes()).hexdigest()[:8]
    top = [] if header.top_k is None else [f"top{header.top_k}"]
    crops = [f"pad{header.augment['crop_padding']}"] + ["flip"] * header.augment["flip"]
    words = [header.teacher, header.data, examples, *crops, f"seed{header.view_seed}"]
    words += [name.replace("/", ".") for name in sorted(header.outputs)]
    words += [header.precision] if header.precision else []
    return sources.cache_folder() / FOLDER / "-".join([*words, header.dtype, *top])


def outputs_of(teacher: keras.Model, taps: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """Shape of a row by output name: the logits and the taps."""
    shapes = Teacher(teacher, taps).shapes
    return {name: tuple(shape[1:]) for name, shape in shapes.items()}


def _standing(header: Header, ids: np.ndarray) -> Path | None:
    """A finished cache that holds all of `header`'s rows, perhaps of more views or outputs."""
    for path in sorted(
        (sources.cache_folder() / FOLDER).glob(f"{header.teacher}-{header.data}-*/header.json")
    ):
        try:
            there = file_format.read_header(path.parent)
            covered = np.isin(ids, file_format.read_ids(path.parent, there)).all()
        except ValueError:  # damaged, or a newer version's: not ours to use
            continue
        holds = set(header.outputs) <= set(there.outputs) and there.views >= header.views
        bound = not file_format.differences(there, header) and there.top_k is None
        if bound and holds and covered and writer.is_complete(path.parent, there):
            return path.parent
    return None


def _why_not(asked: Recipe, outputs: dict[str, tuple[Any, ...]]) -> str:
    """Why the teacher's outputs are not kept; empty if nothing is against it."""
    maps = [name for name, shape in outputs.items() if len(shape) > 1]
    if asked.cache == "never":
        return "it was asked not to be"
    if not asked.views:
        return "views is 0, a new view of each image every epoch; expected a number of views"
    if maps:
        return f"the methods read feature maps of the teacher ({', '.join(maps)}), not vectors"
    return ""
