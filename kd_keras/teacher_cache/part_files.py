"""The rows of a teacher cache: parts of its views, each in files of its own, see `file_format`."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from kd_keras import check, files
from kd_keras.teacher_cache.file_format import Header


def write_part(folder: Path, view: int, part: int, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes a part's files, then the .json that marks it as finished.

    Raises:
        OSError: a file cannot be written, for example on a full disk; finished parts stay.
    """
    entries = {}
    for name, array in arrays.items():
        path = _file(folder, view, part, f"{name}.npy")
        with files.atomic_write(path) as new_path:
            files.save_array(new_path, array)
        entries[path.name] = {"bytes": path.stat().st_size, "sha256": files.sha256(path)}
    with files.atomic_write(_file(folder, view, part, "json")) as new_path:
        new_path.write_text(json.dumps({"rows": len(array), "files": entries}))


def is_finished(folder: Path, view: int, part: int) -> bool:
    """Whether a part was written completely."""
    return _file(folder, view, part, "json").is_file()


def part_hashes(folder: Path, view: int, part: int) -> dict[str, str]:
    """SHA-256 of each file of a finished part, by name."""
    entries = files.read_json(_file(folder, view, part, "json"))["files"]
    return {name: str(facts["sha256"]) for name, facts in entries.items()}


def read_part(folder: Path, header: Header, view: int, part: int) -> dict[str, np.ndarray]:
    """A part's arrays by name, memory-mapped, after a check of their contents.

    Raises:
        ValueError: the part is unfinished, truncated or damaged.
    """
    path = _file(folder, view, part, "json")
    remedy = f"Remove {path.name} and run `kdk cache` again to make this part again."
    if not path.is_file():
        raise ValueError(
            f"part {part} of view {view} in {folder} is not finished; expected {path.name} beside "
            "its arrays. Run the same `kdk cache` again to continue."
        )
    try:
        contents = files.read_json(path)["files"]
        checksums = {name: (file["bytes"], file["sha256"]) for name, file in contents.items()}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{path} is damaged ({check.fault(error)}); expected sizes and hashes. {remedy}"
        ) from error
    rows = min(header.rows_per_part, header.examples - part * header.rows_per_part)
    arrays = {}
    for name, (shape, dtype) in header.stored.items():
        file = _file(folder, view, part, f"{name}.npy")
        size, sha256 = checksums.get(file.name, (None, None))
        if not file.is_file() or file.stat().st_size != size:
            raise ValueError(f"{file} is missing or truncated. {remedy}")
        if files.sha256(file) != sha256:
            raise ValueError(f"{file} is damaged: its SHA-256 differs. {remedy}")
        try:
            arrays[name] = files.load_array(file, mmap_mode="r")
        except ValueError as error:
            raise ValueError(f"{file} is not an array: {error}. {remedy}") from error
        if arrays[name].shape != (rows, *shape) or arrays[name].dtype != np.dtype(dtype):
            raise ValueError(
                f"{file} holds {arrays[name].dtype} {arrays[name].shape}; expected {dtype} "
                f"{(rows, *shape)}, as the header says. {remedy}"
            )
    return arrays


def tasks(header: Header, shard: tuple[int, int] = (0, 1)) -> Iterator[tuple[int, int]]:
    """(view, part) of every part in shard i of n."""
    shard_index, shards = shard
    parts = ((v, p) for v in range(header.views) for p in range(header.parts))
    return (task for index, task in enumerate(parts) if index % shards == shard_index)


def _file(folder: Path, view: int, part: int, suffix: str) -> Path:
    return folder / f"view{view:04d}.part{part:04d}.{suffix}"
