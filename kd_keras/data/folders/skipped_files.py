"""The note on files of a folder that are skipped."""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from kd_keras.data.fault_report import number_of, shortened


def note(files: Sequence[str]) -> list[str]:
    """A note on unused files, such as "skipped 3 files: .txt 2, .DS_Store 1"; empty if none."""
    if not files:
        return []
    suffixes = Counter(map(_suffix, files))
    sorted_suffixes = sorted(suffixes.items(), key=lambda suffix: (-suffix[1], suffix[0]))
    suffix_list = ", ".join(
        shortened([f"{suffix} {number:,}" for suffix, number in sorted_suffixes])
    )
    phone_formats = {".heic", ".heif"} & {suffix.lower() for suffix in suffixes}
    hint = (
        f" (convert {' and '.join(sorted(phone_formats))} to JPEG to use them)"
        if phone_formats
        else ""
    )
    return [f"skipped {number_of('file', files)}: {suffix_list}{hint}"]


def _suffix(file: str) -> str:
    """The kind that a file is counted as: its ending, or its whole name if it is all ending."""
    path = PurePosixPath(file)
    if path.name.startswith("._"):
        return "._*"  # written by macOS beside files on other file systems
    return path.suffix or (path.name if path.name.startswith(".") else "no ending")
