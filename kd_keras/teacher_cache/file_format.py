"""The format of a teacher cache: what files there are, what is in them, how they are checked.

A cache is a folder that a teacher of any framework can write (docs/teacher_cache.md):

    header.json                 what the rows were made of, see `Header`
    ids.npy                     (N,) int64, ascending: the examples that have rows
    view0003.part0001.logits.npy    (n, …) rows of one view, examples in the order of ids.npy
    view0003.part0001.json      rows, bytes and SHA-256 of the part's files; written last

Part p holds rows p * rows_per_part … of each view. A part without its .json is not finished.
"""

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras import check, files

FORMAT = 1
ROWS_PER_PART = 8192
DTYPES = ("float16", "float32")
LOGITS = "logits"
#: With `top_k`, logits are kept as the largest k, their classes, and log sum exp of the others.
TOP, CLASSES, REST = "logits_top", "logits_classes", "logits_rest"


@dataclasses.dataclass(frozen=True)
class Header:
    """What the rows of a cache were made of, and their form.

    Attributes:
        teacher: fingerprint of the teacher's weights, graph and preprocessing.
        data: fingerprint of the store that the images come from.
        augment: what the augmentation may do, as in the store.
        view_seed: of the crops and flips.
        views: how many views of each image there are, numbers 0 to views - 1.
        examples: rows a view.
        outputs: shape of a row by output name; "logits" is (C,).
        precision: that the teacher computed in; "" if unknown.
        dtype: "float16" or "float32", of all outputs.
        top_k: logits kept of each row; None keeps all.
        rows_per_part: examples a file.
        about: said of the making for people to read; nothing depends on it.
        format: of these files.
        image_shape: (H, W, C) of the images; empty if unknown.
    """

    teacher: str
    data: str
    augment: dict[str, Any]
    view_seed: int
    views: int
    examples: int
    outputs: dict[str, tuple[int, ...]]
    precision: str = ""
    dtype: str = "float16"
    top_k: int | None = None
    rows_per_part: int = ROWS_PER_PART
    about: dict[str, Any] = dataclasses.field(default_factory=dict)
    format: int = FORMAT
    image_shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check.one_of("cache dtype", self.dtype, DTYPES)
        check.whole_number("views", self.views, at_least=1)
        if self.top_k is not None:
            classes = self.outputs[LOGITS][0]
            check.whole_number("top_k", self.top_k, at_least=1)
            if self.top_k >= classes:
                raise ValueError(
                    f"top_k is {self.top_k}, but there are {classes} classes; expected fewer. "
                    "Leave --top-k out to keep all logits."
                )

    @property
    def parts(self) -> int:
        """Files a view and output."""
        return -(-self.examples // self.rows_per_part)

    @property
    def stored(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Row shape and dtype of each file's array, by its name."""
        found = {name: (tuple(shape), self.dtype) for name, shape in self.outputs.items()}
        if self.top_k is not None:
            (classes,), _ = found.pop(LOGITS)
            index = "uint16" if classes <= np.iinfo(np.uint16).max + 1 else "int32"
            found[TOP] = ((self.top_k,), self.dtype)
            found[CLASSES] = ((self.top_k,), index)
            found[REST] = ((), self.dtype)
        return found

    @property
    def bytes_per_view(self) -> int:
        """What a view takes on disk, headers of files left out."""
        row = sum(
            int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in self.stored.values()
        )
        return row * self.examples


#: What must be equal for rows to be those of a run, with words for people.
BOUND = {
    "teacher": "teacher",
    "data": "data",
    "augment": "augmentation",
    "view_seed": "seed of the views",
    "precision": "precision",
}


def write_header(folder: Path, header: Header, ids: np.ndarray) -> None:
    """Starts a cache: its header and the examples that will have rows, ascending."""
    with files.in_place_of(folder / "ids.npy") as fresh:
        files.save_array(fresh, ids.astype(np.int64))
    with files.in_place_of(folder / "header.json") as fresh:
        fresh.write_text(json.dumps(dataclasses.asdict(header), indent=2) + "\n")


def read_header(folder: Path) -> Header:
    """The header of a cache.

    Raises:
        FileNotFoundError: no cache there.
        ValueError: made by a newer version, or no header of this form.
    """
    path = folder / "header.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no teacher cache. Make one with `kdk cache`.")
    try:
        told = json.loads(path.read_text())
        newer = told["format"] > FORMAT
        outputs = {} if newer else {name: tuple(of) for name, of in told["outputs"].items()}
        shape = tuple(told.get("image_shape", ()))
        header = None if newer else Header(**{**told, "outputs": outputs, "image_shape": shape})
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{path} is no header of a teacher cache ({error!r}); expected what docs/"
            "teacher_cache.md describes. Remove the folder and make the cache again."
        ) from error
    if header is None:
        raise ValueError(
            f"the cache {folder} has format {told['format']}; this version of kd_keras reads up to "
            f"{FORMAT}. Update kd_keras, or remove the folder and make the cache again."
        )
    return header


def read_ids(folder: Path, header: Header) -> np.ndarray:
    """(N,) int64, ascending: the examples that have rows.

    Raises:
        ValueError: the file is missing, cut off, or not what the header says.
    """
    path = folder / "ids.npy"
    try:
        ids = np.load(path, allow_pickle=False)
        found = f"{ids.dtype} {ids.shape}"
        right = ids.shape == (header.examples,) and ids.dtype.kind == "i"
        right = right and bool(np.all(np.diff(ids) > 0))
    except (OSError, EOFError, ValueError) as error:
        found, right = f"nothing to read ({error})", False
    if not right:
        raise ValueError(
            f"{path} holds {found}; expected {header.examples} numbers of examples, int64, "
            "ascending. Remove the folder and make the cache again."
        )
    return ids


def differences(one: Header, other: Header) -> list[str]:
    """What two caches were made of differently, in words; empty where rows are the same."""
    unknown = ("precision",) if "" in (one.precision, other.precision) else ()
    return [
        words
        for name, words in BOUND.items()
        if name not in unknown and getattr(one, name) != getattr(other, name)
    ]


def write_part(folder: Path, view: int, part: int, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes a part's files, then the .json that finishes it.

    Raises:
        OSError: the disk is full, or the like; finished parts stay.
    """
    facts = {}
    for name, array in arrays.items():
        path = _file(folder, view, part, f"{name}.npy")
        with files.in_place_of(path) as fresh:
            files.save_array(fresh, array)
        facts[path.name] = {"bytes": path.stat().st_size, "sha256": files.sha256(path)}
    with files.in_place_of(_file(folder, view, part, "json")) as fresh:
        fresh.write_text(json.dumps({"rows": len(next(iter(arrays.values()))), "files": facts}))


def is_finished(folder: Path, view: int, part: int) -> bool:
    """Whether a part was written to its end."""
    return _file(folder, view, part, "json").is_file()


def read_part(folder: Path, header: Header, view: int, part: int) -> dict[str, np.ndarray]:
    """A part's arrays by name, memory-mapped, after a check of their contents.

    Raises:
        ValueError: the part is unfinished, cut off, or not what was written.
    """
    path = _file(folder, view, part, "json")
    remedy = f"Remove {path.name} and run `kdk cache` again, which makes this part anew."
    if not path.is_file():
        raise ValueError(
            f"part {part} of view {view} in {folder} is not finished; expected {path.name} beside "
            "its arrays. Run the same `kdk cache` again, which goes on where it stopped."
        )
    try:
        written = json.loads(path.read_text())["files"]
        told = {name: (facts["bytes"], facts["sha256"]) for name, facts in written.items()}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{path} is damaged ({error!r}); expected bytes and sha256 of each file. {remedy}"
        ) from error
    rows = min(header.rows_per_part, header.examples - part * header.rows_per_part)
    arrays = {}
    for name, (shape, dtype) in header.stored.items():
        file = _file(folder, view, part, f"{name}.npy")
        size, sha256 = told.get(file.name, (None, None))
        if not file.is_file() or file.stat().st_size != size:
            raise ValueError(f"{file} is missing or cut off. {remedy}")
        if files.sha256(file) != sha256:
            raise ValueError(f"{file} is not what was written: its SHA-256 differs. {remedy}")
        arrays[name] = np.load(file, mmap_mode="r", allow_pickle=False)
        if arrays[name].shape != (rows, *shape) or arrays[name].dtype != np.dtype(dtype):
            raise ValueError(
                f"{file} holds {arrays[name].dtype} {arrays[name].shape}; the header says {dtype} "
                f"{(rows, *shape)}. {remedy}"
            )
    return arrays


def tasks(header: Header, shard: tuple[int, int] = (0, 1)) -> Iterator[tuple[int, int]]:
    """(view, part) of all that the i-th of n makers has to make."""
    mine, makers = shard
    everything = ((v, p) for v in range(header.views) for p in range(header.parts))
    return (task for place, task in enumerate(everything) if place % makers == mine)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other makers on this machine from writing into the folder, made if there is none.

    Raises:
        OSError: the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"the folder {folder} cannot be made: {error.strerror}. Choose another with --out."
        ) from error
    with files.locked(folder):
        yield


def _file(folder: Path, view: int, part: int, ending: str) -> Path:
    return folder / f"view{view:04d}.part{part:04d}.{ending}"
