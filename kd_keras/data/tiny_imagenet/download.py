"""Downloads the official archive, checks its SHA-256 and keeps it for later use.

TensorFlow Datasets can download too, but does not report its progress, and without a network it
tries for minutes.
"""

import hashlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path

from kd_keras.data.progress import Progress

_BLOCK = 1 << 20
_TIMEOUT = 30  # seconds without an answer
_INSTEAD = (
    "Give --data-dir a folder that holds tiny-imagenet-200.zip, fetched on any machine, or the "
    "extracted tiny-imagenet-200/; or try --recipe quickstart, whose data are embedded."
)


def download(url: str, *, sha256: str, size: int, folder: Path, progress: Progress) -> Path:
    """Downloads a file into the folder, unless it is there already.

    Args:
        url: address of the file; its last part is the file name.
        sha256: expected hash, 64 hex digits.
        size: size of the file in bytes, for the progress.
        folder: folder of the file, which is created if missing.
        progress: shows the number of bytes.

    Raises:
        ConnectionError: no network, or no such file; no file is left.
        ValueError: the file has a different hash; no file is left.
    """
    path = folder / url.rpartition("/")[2]
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    partial_path = path.with_name(f"{path.name}.part")
    try:
        actual_sha256 = _fetch(url, partial_path, size, progress)
        if actual_sha256 != sha256:
            raise ValueError(
                f"{url} gave a file of {partial_path.stat().st_size:,} bytes with SHA-256 "
                f"{actual_sha256}; expected {size:,} bytes with {sha256}. Try again. {_INSTEAD}"
            )
        partial_path.replace(path)
    finally:
        partial_path.unlink(missing_ok=True)
    return path


def _fetch(url: str, path: Path, size: int, progress: Progress) -> str:
    """Writes the file and returns its SHA-256.

    Args:
        url: the address.
        path: the file to write.
        size: expected size in bytes, for the progress bar.
        progress: shows the progress.
    """
    hasher = hashlib.sha256()
    try:
        with (
            urllib.request.urlopen(url, timeout=_TIMEOUT) as response,
            path.open("wb") as file,
            progress(f"Downloading {path.stem}", size) as advance,
        ):
            while block := response.read(_BLOCK):
                hasher.update(block)
                file.write(block)
                advance(len(block))
    except (OSError, http.client.HTTPException) as error:
        network = (urllib.error.URLError, ConnectionError, TimeoutError, http.client.HTTPException)
        if not isinstance(error, network):
            raise  # an error of the disk
        raise ConnectionError(f"{url} cannot be downloaded ({error}). {_INSTEAD}") from error
    return hasher.hexdigest()
