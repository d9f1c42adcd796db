"""The note on files of a folder that are skipped."""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from kd_keras.data.fault_report import count, shortened


def note(files: Sequence[str]) -> list[str]:
    """A note on unused files, such as "skipped 3 files: .txt 2, .DS_Store 1"; empty if none."""
    if not files:
        return []
    kinds = Counter(map(_kind, files))
    sorted_kinds = sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0]))
    counts = ", ".join(shortened([f"{kind} {number:,}" for kind, number in sorted_kinds]))
    phone_formats = {".heic", ".heif"} & {kind.lower() for kind in kinds}
    hint = (
        f" (convert {' and '.join(sorted(phone_formats))} to JPEG to use them)"
        if phone_formats
        else ""
    )
    return [f"skipped {count('file', files)}: {counts}{hint}"]


def _kind(file: str) -> str:
    """The kind that a file is counted as: its ending, or its whole name if it is all ending."""
    path = PurePosixPath(file)
    if path.name.startswith("._"):
        return "._*"  # written by macOS beside files on other file systems
    return path.suffix or (path.name if path.name.startswith(".") else "no ending")
