"""The cached outputs of a run's teacher, made if that saves work."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kd_keras import losses
from kd_keras.data import augmentation, pipeline
from kd_keras.data.stores.store import Dataset, Split
from kd_keras.distill import machines
from kd_keras.distill.step.teacher import Teacher
from kd_keras.job import identity
from kd_keras.job.hardware import devices
from kd_keras.job.models import cache_files
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.results.metrics import multi_label
from kd_keras.results.terminal import paths
from kd_keras.results.terminal.screen import Screen
from kd_keras.teacher_cache import file_format, fingerprint, keras_teacher, writer
from kd_keras.teacher_cache.file_format import Header
from kd_keras.teacher_cache.reader import Cache
from kd_keras.tensor_types import Shapes


def from_cache(
    recipe: Recipe, data: Dataset, *, views_per_image: int, reads_logits: bool = True
) -> Cache | None:
    """The recipe's teacher if it is a cache, checked against the data; None for other teachers.

    A cache needs no logits if no method reads them.

    Raises:
        ValueError: a damaged cache, one with other data, augmentation or views, or `views` 0.
        FileNotFoundError: no cache in that folder.
    """
    folder = identity.cache_of(recipe)
    if folder is None:
        return None
    header = file_format.read_header(folder)
    if not recipe.views:
        max_views = max(1, header.views // views_per_image)
        raise ValueError(
            f"views is 0, a new view of each image every epoch, and the teacher is a cache of "
            f"{header.views} views; expected 1 to {max_views}. Give --views {max_views}."
        )
    cache = Cache(folder, views=pipeline.total_views(recipe.views, views_per_image))
    expected = writer.header_for(
        data,
        teacher=header.teacher,
        outputs={file_format.LOGITS: (len(data.class_names),)} if reads_logits else {},
        views=cache.views,
        view_seed=recipe.view_seed,
    )
    cache.require(expected, data.train.ids)
    return cache


def score(cache: Cache, split: Split) -> float | None:
    """The cached teacher's top-1 accuracy, 0 to 1, on the first view of the split's images.

    Of multi-label data, its mean average precision. None for a cache without logits, and of mixed
    images, which have no one class.

    Raises ValueError if logits of that view are not finite.
    """
    is_mixed = augmentation.from_json(cache.header.augment).mixes
    if is_mixed or file_format.LOGITS not in cache.shapes:
        return None
    batches = np.array_split(np.arange(len(split)), -(-len(split) // 4096))
    if split.multi_label:
        logits = np.concatenate([_logits(cache, split, rows) for rows in batches])
        return multi_label.mean_average_precision(split.labels, logits)
    num_correct = sum(
        int(np.sum(losses.in_top(split.labels[rows], _logits(cache, split, rows))))
        for rows in batches
    )
    return num_correct / len(split)


def _logits(cache: Cache, split: Split, rows: np.ndarray) -> np.ndarray:
    """The logits of the first view of the images at these positions in the split."""
    logits = cache(split.ids[rows], 0)[file_format.LOGITS]
    bad_ids = split.ids[rows][~np.isfinite(logits).all(axis=-1)]
    if len(bad_ids):
        raise ValueError(
            f"the teacher is the cache {cache.folder}, whose logits are NaN or infinite, for "
            f"example those of image {bad_ids[0]}; expected finite numbers. Make the cache again, "
            "from a teacher whose outputs are finite."
        )
    return logits


def origin(cache: Cache) -> dict[str, Any]:
    """What provenance.json says of outputs that come from a cache."""
    facts = {"folder": str(cache.folder), "dtype": cache.header.dtype}
    return {"source": "cache", "why": "", **facts, "fingerprint": cache.fingerprint}


def from_model(
    recipe: Recipe,
    data: Dataset,
    teacher: keras.Model,
    taps: Sequence[str],
    *,
    views_per_image: int,
    precision: str,
    strategy: devices.Strategy,
    screen: Screen,
    note: Callable[..., None] = lambda **facts: None,
    reads_logits: bool = True,
) -> Cache | None:
    """The teacher's cached outputs for training by the recipe; None if the teacher must run.

    A cache is used, and made if there is none, if the teacher would see the same views again. So
    it does not depend on what lies in the cache folder already: rows of float16 and outputs that
    are computed beside the student give results that differ.

    Args:
        recipe: the recipe; its `views`, `epochs` and `cache` decide.
        data: the dataset, whose training images are cached.
        teacher: the teacher, trained.
        taps: names of the teacher's features that the methods read.
        views_per_image: number of views per image in a batch.
        precision: precision in which the teacher computes.
        strategy: the devices; several machines each make their part of the cache.
        screen: where lines and bars are shown.
        note: called with what provenance.json says, see `provenance.add_teacher_outputs`.
        reads_logits: whether a method reads the teacher's logits; if not, they are not cached.

    Raises:
        ValueError: `cache` is "always" and the outputs cannot be cached, or a damaged cache.
        OSError: `cache` is "always" and the cache cannot be written.
    """
    form = {"multi_label": data.multi_label}
    outputs = outputs_of(teacher, taps, reads_logits=reads_logits, **form)
    if reason := _why_not(recipe, outputs, reads_logits=reads_logits):
        if recipe.cache == "always":
            raise ValueError(
                f"cache is 'always', but {reason}; expected outputs that can be cached. Leave "
                "--cache out, or give --cache never."
            )
        note(source="teacher", why=reason)
        return None
    header = writer.header_for(
        data,
        teacher=fingerprint.fingerprint(teacher),
        outputs=outputs,
        views=pipeline.total_views(recipe.views, views_per_image),
        view_seed=recipe.view_seed,
        precision=precision,
        about={"teacher": teacher.name},
    )
    folder = cache_files.find(header, data.train.ids)
    machines.wait_for_all(strategy)  # all have looked before one of them writes
    if folder is None:
        folder = cache_files.folder_of(header, data.train.ids)
        try:
            run_teacher = keras_teacher.teacher_function(
                teacher, taps, precision=precision, classifies=reads_logits, **form
            )
            cache_files.write_together(folder, header, data, run_teacher, strategy, screen)
        except OSError as error:
            if recipe.cache == "always":
                raise
            reason = f"no cache: {error.strerror or error}"
            screen.warn(f"{reason}; the teacher runs beside the student")
            note(source="teacher", why=reason)
            return None
    return _open_cache(folder, header, data, note, screen)


def _open_cache(
    folder: Path, header: Header, data: Dataset, note: Callable[..., None], screen: Screen
) -> Cache:
    """The cache in this folder; says so on the screen and to provenance.json."""
    cache = Cache(folder, views=header.views)
    cache.require(header, data.train.ids)
    note(**origin(cache))
    screen.say(
        f"teacher's outputs come from the cache {paths.short_path_with_size(folder)}, "
        f"{header.views} views; the teacher does not run beside the student"
    )
    return cache


def outputs_of(
    teacher: keras.Model,
    taps: Sequence[str],
    *,
    reads_logits: bool = True,
    multi_label: bool = False,
) -> Shapes:
    """Shape of one example's output, by name: the taps, and the logits if any method reads them."""
    shapes = Teacher(teacher, taps, classifies=reads_logits, multi_label=multi_label).shapes
    names = [*taps, *([file_format.LOGITS] if reads_logits else [])]
    return {name: tuple(shape[1:]) for name, shape in shapes.items() if name in names}


def _why_not(recipe: Recipe, outputs: Shapes, *, reads_logits: bool) -> str:
    """Why the teacher's outputs cannot be cached; empty if they can."""
    maps = [name for name, shape in outputs.items() if len(shape) > 1]
    if recipe.cache == "never":
        return "it is 'never'"
    if not recipe.views:
        return "views is 0, a new view of each image every epoch; expected a number of views"
    if recipe.cache == "auto" and recipe.epochs < recipe.views:
        return f"not even all {recipe.views} views are seen in {recipe.epochs} epochs"
    if maps:
        return f"the methods read feature maps of the teacher ({', '.join(maps)}), not vectors"
    if not reads_logits and file_format.LOGITS in outputs:
        return "the methods read what the teacher returns, which are not its logits"
    return ""
