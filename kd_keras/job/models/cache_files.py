"""A teacher's caches in the cache folder: their names, the search for one, writing one."""

import hashlib
from pathlib import Path

import numpy as np

from kd_keras.data import augmentation, cache_folder
from kd_keras.data.stores.store import Dataset
from kd_keras.distill import machines
from kd_keras.job.hardware import devices
from kd_keras.results.terminal import paths
from kd_keras.results.terminal.screen import Screen
from kd_keras.teacher_cache import file_format, part_files, writer
from kd_keras.teacher_cache.file_format import Header
from kd_keras.teacher_cache.writer import TeacherFunction

FOLDER = "teachers"  # beside the stores


def folder_of(header: Header, ids: np.ndarray) -> Path:
    """The default folder of a cache, whose name follows from its contents."""
    examples = hashlib.sha256(np.sort(ids).tobytes()).hexdigest()[:8]
    top = [] if header.top_k is None else [f"top{header.top_k}"]
    views = augmentation.short_name(header.augment)
    size = "x".join(map(str, header.image_shape))
    words = [header.teacher, header.data, examples, size, views, f"seed{header.view_seed}"]
    words += [name.replace("/", ".") for name in sorted(header.outputs)]
    words += [header.precision] if header.precision else []
    return cache_folder() / FOLDER / "-".join([*words, header.dtype, *top])


def find(header: Header, ids: np.ndarray) -> Path | None:
    """A finished cache that holds all rows of `header`, and may hold more views or outputs.

    Args:
        header: the rows that are needed.
        ids: (N,) int, the examples that need rows.

    Returns:
        Its folder; None if there is none.
    """
    # Mixed images come from pairs of the images that a cache is made from, so these must be equal.
    mixes = augmentation.from_json(header.augment).mixes

    def has_images_of(row_ids: np.ndarray) -> bool:
        return np.array_equal(np.sort(ids), row_ids) if mixes else bool(np.isin(ids, row_ids).all())

    for path in sorted(
        (cache_folder() / FOLDER).glob(f"{header.teacher}-{header.data}-*/header.json")
    ):
        try:
            candidate = file_format.read_header(path.parent)
            has_images = has_images_of(file_format.read_ids(path.parent, candidate))
        except ValueError:  # damaged, or written by a newer version
            continue
        has_rows = set(header.outputs) <= set(candidate.outputs) and candidate.views >= header.views
        # Not rows of another dtype or precision: they would give other results.
        has_form = (candidate.dtype, candidate.precision) == (header.dtype, header.precision)
        is_usable = has_form and not (candidate.top_k or file_format.differences(candidate, header))
        if is_usable and has_rows and has_images and writer.is_complete(path.parent, candidate):
            return path.parent
    return None


def write_together(
    folder: Path,
    header: Header,
    data: Dataset,
    run_teacher: TeacherFunction,
    strategy: devices.Strategy,
    screen: Screen,
) -> None:
    """Writes a cache, of which each of several machines makes its part.

    Raises:
        OSError: a file cannot be written, by this machine or another.
    """
    machines.chief_only(strategy, lambda: writer.start(folder, header, data.train))
    shard, failure = (machines.process_index(strategy), machines.num_processes(strategy)), None
    try:
        write(folder, header, data, run_teacher, screen, shard=shard)
    except OSError as error:
        failure = error
    if machines.any_of(strategy, failure is not None):
        raise failure or OSError("another machine could not write its part of the cache")


def write(
    folder: Path,
    header: Header,
    data: Dataset,
    run_teacher: TeacherFunction,
    screen: Screen,
    *,
    shard: tuple[int, int] = (0, 1),
) -> None:
    """Writes a cache, or its i-th of n parts; shows its size first, but not its folder."""
    views = header.views
    shard_text = f", part {shard[0]} of {shard[1]}" if shard[1] > 1 else ""
    screen.say(
        f"caching the teacher's {' and '.join(header.outputs)}: {views} "
        f"view{'s' if views > 1 else ''} of {header.examples:,} images, "
        f"{paths.megabytes(views * header.bytes_per_view)}{shard_text}"
    )
    total = sum(1 for _ in part_files.tasks(header, shard)) * header.rows_per_part
    with screen.progress("caching", min(total, views * header.examples)) as advance:
        writer.make(folder, header, data.train, run_teacher, shard=shard, advance=advance)
