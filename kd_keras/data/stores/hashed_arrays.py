"""Arrays in files that carry the hash of their bytes, so that none is believed that was changed."""

import hashlib
import io
from pathlib import Path

import numpy as np

from kd_keras import files

_SEAL = b"\nkd_keras sha256"  # 16 bytes; the 32 bytes of the hash follow


def save(path: Path, array: np.ndarray) -> None:
    """Writes an array as .npy, whole or not at all, and its hash behind it, as np.load allows."""
    with files.atomic_write(path) as new_path:
        files.save_array(new_path, array)
        seal(new_path)


def load(path: Path) -> np.ndarray:
    """The array that `save` wrote. Raises ValueError and OSError as `unsealed` does."""
    array: np.ndarray = np.load(io.BytesIO(unsealed(path)), allow_pickle=False)
    return array


def seal(path: Path) -> None:
    """Appends the hash of a file's bytes to it, in a form that `unsealed` knows."""
    digest = bytes.fromhex(files.sha256(path))
    with path.open("ab") as file:
        file.write(_SEAL + digest)


def unsealed(path: Path) -> bytes:
    """The bytes of a file before its seal. Raises ValueError if they are not those of `seal`."""
    content = path.read_bytes()
    body, mark, digest = content[:-48], content[-48:-32], content[-32:]
    if mark != _SEAL or hashlib.sha256(body).digest() != digest:
        raise ValueError(f"{path} is not what kd_keras wrote: its hash differs. Remove it.")
    return body
