"""The teacher cache of a run: where it lies, whether it pays, and how it is made and opened."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kd_keras import classifiers, dataset, twins
from kd_keras import data as sources
from kd_keras.cache import layout, making, teachers
from kd_keras.cache.layout import Header
from kd_keras.cache.making import Ask
from kd_keras.cache.reading import Cache
from kd_keras.data.store import Dataset
from kd_keras.recipe import Recipe
from kd_keras.screen import Screen
from kd_keras.teacher import Teacher

FOLDER = "teachers"  # beside the stores
SPEC = "cache:"  # of a teacher that is a cache alone: "cache:FOLDER"


def run(
    asked: Recipe,
    *,
    folder: Path | None = None,
    taps: Sequence[str] = (),
    top_k: int | None = None,
    dtype: str = "float16",
    shard: tuple[int, int] = (0, 1),
    verify: bool = False,
    screen: Screen | None = None,
) -> Path:
    """Does what `kdk cache` says and returns the cache's folder.

    Args:
        asked: the recipe; its data, views and teacher count.
        folder: where; None lets it follow from what is cached, so that runs find it.
        taps: of the teacher, kept beside its logits.
        top_k: logits of each row to keep; None keeps all.
        dtype: "float16" or "float32", of what is kept.
        shard: (i, n), which of n parts to make.
        verify: compute a sample again and compare; of a finished cache alone.
        screen: where lines and bars go.

    Raises:
        ValueError, FileNotFoundError, OSError: what is wrong, what was expected, what to do.
    """
    screen = screen or Screen()
    if not asked.views:
        raise ValueError(
            "views is 0, a new view of each image every epoch; expected how many views to cache. "
            "Give --views, such as --views 5, and train with as many."
        )
    precision = twins.best_precision() if asked.precision == "auto" else asked.precision
    data = dataset.load(asked, screen)
    name, ask, outputs = _teacher(asked, data, taps, precision)
    if isinstance(ask, teachers.OnnxTeacher):
        precision = ""  # its file's own, whatever that is
    header = making.header_for(
        data,
        teacher=name,
        outputs=outputs,
        views=asked.views,
        view_seed=asked.view_seed,
        precision=precision,
        dtype=dtype,
        top_k=top_k,
        about={"teacher": " ".join(asked.teacher)},
    )
    folder = folder or folder_of(header, data.train.ids)
    if not making.is_complete(folder, header):
        made(folder, header, data, ask, screen, shard=shard)
    if making.is_complete(folder, header):
        cache = Cache(folder, views=header.views)
        cache.require(header, data.train.ids)
        screen.say(f"cache: {folder}, complete, every part's hash checked")
        if verify:
            error = making.verify(cache, data.train, ask)
            screen.say(f"verified: a sample computed again differs by {error:.2g} (relative L2)")
    else:
        screen.say(f"cache: {folder}, this part complete, others not yet")
    return folder


def _teacher(
    asked: Recipe, data: Dataset, taps: Sequence[str], precision: str
) -> tuple[str, Ask, dict[str, tuple[int, ...]]]:
    """The recipe's teacher: what tells it apart, how it is asked, and the shapes of its answers."""
    if asked.teacher[0].endswith(".onnx"):
        teacher = teachers.OnnxTeacher(
            Path(asked.teacher[0]).expanduser(),
            preprocess=asked.teacher_preprocess,
            image_size=asked.teacher_image_size,
            classes=classifiers.order_of_classes(asked, data),
        )
        if taps:
            raise ValueError(
                f"taps are {list(taps)}, and an ONNX file gives logits alone. Leave --taps out."
            )
        return teacher.fingerprint, teacher, {layout.LOGITS: (len(data.class_names),)}
    untrained = [spec for spec in asked.teacher if not classifiers.is_file(spec)]
    if untrained:
        raise ValueError(
            f"the teacher is {untrained[0]!r}, a model that is not trained yet; expected a file. "
            "Train it with kdk train and give --teacher runs/NAME/teacher.keras."
        )
    model = classifiers.make_teacher(asked, data)
    ask = teachers.keras_ask(model, taps, precision=precision)
    return teachers.fingerprint(model), ask, _outputs(model, taps)


def rows_for(
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
    outputs = _outputs(teacher, taps)
    reason = _why_not(asked, outputs)
    if reason:
        if asked.cache == "always":
            raise ValueError(f"cache is 'always', but {reason}. Leave --cache out, or change it.")
        return None
    header = making.header_for(
        data,
        teacher=teachers.fingerprint(teacher),
        outputs=outputs,
        views=asked.views * views_per_image,
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
            ask = teachers.keras_ask(teacher, taps, precision=precision)
            made(folder, header, data, ask, screen)
        except OSError as error:
            if asked.cache == "always":
                raise
            screen.warn(f"no cache: {error.strerror or error}; the teacher runs beside the student")
            return None
    rows = Cache(folder, views=header.views)
    rows.require(header, data.train.ids)
    screen.say(
        f"teacher's outputs come from the cache {folder} ({header.views} views); the teacher does "
        "not run beside the student"
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
    """Writes a cache, or the i-th of n parts of it, telling its size first."""
    views = header.views
    share = f", part {shard[0]} of {shard[1]}" if shard[1] > 1 else ""
    screen.say(
        f"caching the teacher's {' and '.join(header.outputs)}: {views} "
        f"view{'s' if views > 1 else ''} of {header.examples:,} images, "
        f"{_megabytes(views * header.bytes_per_view)}, in {folder}{share}"
    )
    total = sum(1 for _ in layout.tasks(header, shard)) * header.rows_per_part
    with screen.progress("caching", min(total, views * header.examples)) as advance:
        making.make(folder, header, data.train, ask, shard=shard, advance=advance)


def folder_of(header: Header, ids: np.ndarray) -> Path:
    """Where a run's cache lies unless told otherwise; follows from what it is made of."""
    examples = hashlib.sha256(np.sort(ids).tobytes()).hexdigest()[:8]
    top = [] if header.top_k is None else [f"top{header.top_k}"]
    crops = [f"pad{header.augment['crop_padding']}"] + ["flip"] * header.augment["flip"]
    words = [header.teacher, header.data, examples, *crops, f"seed{header.view_seed}"]
    words += [name.replace("/", ".") for name in sorted(header.outputs)]
    words += [header.precision] if header.precision else []
    return _base() / "-".join([*words, header.dtype, *top])


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB" if count >= 1e7 else f"{count / 1e6:.2g} MB"


def _standing(header: Header, ids: np.ndarray) -> Path | None:
    """A finished cache that holds all of `header`'s rows, perhaps of more views or outputs."""
    for path in sorted(_base().glob(f"{header.teacher}-{header.data}-*/header.json")):
        there = layout.read_header(path.parent)
        holds = set(header.outputs) <= set(there.outputs) and there.views >= header.views
        bound = not layout.differences(there, header) and there.top_k is None
        complete = bound and holds and making.is_complete(path.parent, there)
        if complete and np.isin(ids, np.load(path.parent / "ids.npy")).all():
            return path.parent
    return None


def _base() -> Path:
    given = os.environ.get("KD_KERAS_CACHE") or sources.DEFAULT_CACHE
    return Path(given).expanduser() / FOLDER


def _outputs(teacher: keras.Model, taps: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    shapes = Teacher(teacher, taps).shapes
    return {name: tuple(shape[1:]) for name, shape in shapes.items()}


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
