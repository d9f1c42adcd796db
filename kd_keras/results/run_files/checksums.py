"""Checksums of the files of a finished run, which show whether one has changed since."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from kd_keras import files

NAME = "checksums.json"


def write(folder: Path, names: Iterable[str], texts: Mapping[str, str]) -> None:
    """Writes size and SHA-256 of files in a run folder.

    Args:
        folder: the run folder.
        names: files in it, with paths relative to it; those that do not exist are left out.
        texts: contents, by name, of files that are about to be written.
    """
    entries = {name: _file_checksum(folder / name) for name in names if (folder / name).is_file()}
    for name, text in texts.items():
        content = text.encode()
        entries[name] = {
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    files.write_json(folder / NAME, {"files": entries})


def update(folder: Path, name: str) -> None:
    """Writes the checksum of one file anew, if the run folder has checksums."""
    entries = _read_checksums(folder)
    if entries:
        files.write_json(folder / NAME, {"files": {**entries, name: _file_checksum(folder / name)}})


def require_unchanged(folder: Path, *, max_bytes: int | None = None) -> None:
    """Raises ValueError if a file of a finished run has changed, or is missing.

    Args:
        folder: the run folder; a run of an earlier version has no checksums, and passes.
        max_bytes: size up to which contents are checked, and not sizes only; None: every size.
    """
    changed_names = [
        f"{name} {'has changed' if (folder / name).is_file() else 'is missing'}"
        for name, entry in _read_checksums(folder).items()
        if not _is_same(folder / name, entry, max_bytes)
    ]
    if changed_names:
        raise ValueError(
            f"the run in {folder} is finished, but {' and '.join(changed_names)} since then. "
            f"Restore the file; or remove it and {folder / 'results.json'}, and run the same "
            "command again to make it anew."
        )


def _is_same(path: Path, entry: Mapping[str, int | str], max_bytes: int | None) -> bool:
    if not path.is_file() or path.stat().st_size != entry.get("bytes"):
        return False
    is_read = max_bytes is None or path.stat().st_size <= max_bytes
    return not is_read or files.sha256(path) == entry.get("sha256")


def _file_checksum(path: Path) -> dict[str, int | str]:
    return {"bytes": path.stat().st_size, "sha256": files.sha256(path)}


def _read_checksums(folder: Path) -> dict[str, dict[str, int | str]]:
    path = folder / NAME
    if not path.is_file():
        return {}
    try:
        entries: dict[str, dict[str, int | str]] = json.loads(path.read_text())["files"]
        return {name: dict(entry) for name, entry in entries.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {NAME: {}}  # shown as changed
