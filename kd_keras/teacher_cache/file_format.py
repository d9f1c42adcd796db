"""The format of a teacher cache, and its header: how the rows were made. `part_files` has the rows.

A cache is a folder that a teacher of any framework can write (docs/teacher_cache.md):

    header.json                     how the rows were made, see `Header`
    ids.npy                         (N,) int64, ascending: the ids of the examples
    view0003.part0001.logits.npy    (n, …) rows of one view, examples in the order of ids.npy
    view0003.part0001.json          rows, bytes and SHA-256 of the part's files; written last

Part p starts at row p * rows_per_part of its view. It is finished once its .json exists.
"""

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras import check, files

FORMAT = 1
ROWS_PER_PART = 8192
DTYPES = ("float16", "float32")
LOGITS = "logits"
#: With `top_k`, logits are stored as the k largest, their classes, and log sum exp of the others.
TOP, CLASSES, REST = "logits_top", "logits_classes", "logits_rest"


@dataclasses.dataclass(frozen=True)
class Header:
    """How the rows of a cache were made, and how they are stored.

    Attributes:
        teacher: fingerprint of the teacher's weights, graph and preprocessing.
        data: fingerprint of the store that the images come from.
        augment: settings of the augmentation, as in the store.
        view_seed: seed of the crops and flips.
        views: number of views of each image, numbered 0 to views - 1.
        examples: rows per view.
        outputs: shape of a row by output name; "logits", if there are any, is (C,).
        precision: precision that the teacher computed in; "" if unknown.
        dtype: "float16" or "float32", of all outputs.
        top_k: number of logits stored per row; None stores all.
        rows_per_part: examples per file.
        about: notes for people; nothing depends on them.
        format: version of the file format.
        image_shape: (H, W, C) of the images; empty if unknown.
        ids_sha256: SHA-256 of ids.npy, 64 hex digits; empty if its writer left it out.

    Raises ValueError if a value is out of range.
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
    ids_sha256: str = ""

    def __post_init__(self) -> None:
        check.one_of("cache dtype", self.dtype, DTYPES)
        check.whole_number("views", self.views, at_least=1)
        if self.top_k is not None and LOGITS not in self.outputs:
            raise ValueError(
                f"top_k is {self.top_k}, and the outputs are {sorted(self.outputs)}; expected "
                "logits among them. Leave --top-k out."
            )
        if self.top_k is not None:
            classes = self.outputs[LOGITS][0]
            check.whole_number("top_k", self.top_k, at_least=1)
            if self.top_k >= classes:
                raise ValueError(
                    f"top_k is {self.top_k}; expected less than the {classes} classes. "
                    "Leave --top-k out to store all logits."
                )

    @property
    def parts(self) -> int:
        """Number of files per view and output."""
        return -(-self.examples // self.rows_per_part)

    @property
    def stored(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Row shape and dtype of each file's array, by its name."""
        arrays = {name: (tuple(shape), self.dtype) for name, shape in self.outputs.items()}
        if self.top_k is not None:
            (classes,), _ = arrays.pop(LOGITS)
            index = "uint16" if classes <= np.iinfo(np.uint16).max + 1 else "int32"
            arrays[TOP] = ((self.top_k,), self.dtype)
            arrays[CLASSES] = ((self.top_k,), index)
            arrays[REST] = ((), self.dtype)
        return arrays

    @property
    def bytes_per_view(self) -> int:
        """Bytes on disk of one view, without the headers of the .npy files."""
        row = sum(
            int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in self.stored.values()
        )
        return row * self.examples


#: Fields that must be equal for a run to use the rows, with their names in messages.
BOUND = {
    "teacher": "teacher",
    "data": "dataset",
    "image_shape": "image shape",
    "augment": "augmentation",
    "view_seed": "view seed",
    "precision": "precision",
}


def write_header(folder: Path, header: Header, ids: np.ndarray) -> None:
    """Starts a cache: writes its header and the ids, ascending, of the examples to come."""
    with files.atomic_write(folder / "ids.npy") as new_path:
        files.save_array(new_path, ids.astype(np.int64))
    with files.atomic_write(folder / "header.json") as new_path:
        full_header = dataclasses.replace(header, ids_sha256=files.sha256(folder / "ids.npy"))
        new_path.write_text(json.dumps(dataclasses.asdict(full_header), indent=2) + "\n")


def read_header(folder: Path) -> Header:
    """The header of a cache.

    Raises:
        FileNotFoundError: the folder holds no cache.
        ValueError: the format is newer, or the file is not a header.
    """
    path = folder / "header.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no teacher cache. Make one with `kdk cache`.")
    try:
        fields = files.read_json(path)
        is_new = fields["format"] > FORMAT
        outputs = {} if is_new else {n: tuple(shape) for n, shape in fields["outputs"].items()}
        shape = tuple(fields.get("image_shape", ()))
        header = None if is_new else Header(**{**fields, "outputs": outputs, "image_shape": shape})
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{path} is not a header of a teacher cache ({check.fault(error)}); expected the "
            "format in docs/teacher_cache.md. Remove the folder and make the cache again."
        ) from error
    if header is None:
        raise ValueError(
            f"the cache {folder} has format {fields['format']}; expected at most {FORMAT}. Update "
            "kd_keras, or remove the folder and make the cache again."
        )
    return header


def read_ids(folder: Path, header: Header) -> np.ndarray:
    """(N,) int64, ascending: the ids of the examples that have rows.

    Raises:
        ValueError: the file is missing or truncated, or does not fit the header.
    """
    path = folder / "ids.npy"
    try:
        if header.ids_sha256 not in ("", files.sha256(path)):
            raise ValueError("its SHA-256 differs from the one in header.json")
        ids: np.ndarray = files.load_array(path)
        contents = f"{ids.dtype} {ids.shape}"
        is_valid = ids.shape == (header.examples,) and ids.dtype.kind == "i"
        is_valid = is_valid and bool(np.all(np.diff(ids) > 0))
    except (OSError, ValueError) as error:
        contents, is_valid = f"nothing that can be read ({error})", False
    if not is_valid:
        raise ValueError(
            f"{path} holds {contents}; expected {header.examples} ids of examples, int64, "
            "ascending. Remove the folder and make the cache again."
        )
    return ids


def differences(first: Header, second: Header) -> list[str]:
    """Names, for messages, of what differs between two caches; empty if their rows are equal."""
    unknown_fields = [
        n for n in ("precision", "image_shape") if not (getattr(first, n) and getattr(second, n))
    ]
    return [
        words
        for name, words in BOUND.items()
        if name not in unknown_fields and getattr(first, name) != getattr(second, name)
    ]


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Locks the folder, created if needed, against other writers on this machine.

    Raises:
        OSError: the folder cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"the folder {folder} cannot be made: {error.strerror}. Choose another with --out."
        ) from error
    with files.locked(folder):
        yield


def tidy(folder: Path) -> None:
    """Removes what killed writers left; parts that another process writes now stay."""
    for scratch in folder.glob(".partial.*"):
        target = scratch.name.removeprefix(".partial.").rpartition(".")[0]
        files.remove_leftovers(folder / target)
