"""Checks the wheel and the source distribution: what they hold, what they do not, and their size.

    python -m build --outdir DIST && python scripts/check_package.py DIST

Fails if the wheel lacks a file of the package, holds something else or is 1 MB or larger, if the
source distribution lacks a file of the repository, or if the metadata name no licence by SPDX.
"""

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
MAX_BYTES = 1_000_000  # of the wheel
IN_PACKAGE = {".py", ".typed", ".toml", ".md", ".bib", ".tsv", ".txt", ".css", ".html", ".js"}
TEST_DATA = "/dummy_data/"  # of TensorFlow Datasets' own test of a builder
EXPECTED = (
    "License-Expression: Apache-2.0",
    "Requires-Python: >=3.11",
    "Classifier: Programming Language :: Python :: 3.13",
)


def main(dist: Path, files: list[str]) -> list[str]:
    """Every fault found, in words.

    Args:
        dist: folder with one wheel and one source distribution.
        files: the repository's files, relative to its root.
    """
    wheels, sources = sorted(dist.glob("*.whl")), sorted(dist.glob("*.tar.gz"))
    if len(wheels) != 1 or len(sources) != 1:
        return [
            f"{dist} has {len(wheels)} wheels and {len(sources)} .tar.gz; expected one of each."
        ]
    return [*_wheel_faults(wheels[0], files), *_source_faults(sources[0], files)]


def _wheel_faults(path: Path, files: list[str]) -> Iterator[str]:
    size = path.stat().st_size
    if size >= MAX_BYTES:
        yield f"{path.name} has {size:,} bytes; expected less than {MAX_BYTES:,}."
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
        metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
        text = wheel.read(metadata).decode()
    package_files = {
        name
        for name in files
        if name.startswith("kd_keras/")
        and Path(name).suffix in IN_PACKAGE
        and TEST_DATA not in name
    }
    for name in sorted(package_files - names):
        yield f"{path.name} lacks {name}. Add its ending to package_data in setup.cfg."
    for name in sorted(names - package_files):
        if ".dist-info/" not in name:
            yield f"{path.name} holds {name}; expected only files of kd_keras/."
    head = text.partition("\n\n")[0]
    for line in EXPECTED:
        if line not in head.splitlines():
            yield f"{path.name} has no line {line!r} in its metadata. Correct setup.cfg."


def _source_faults(path: Path, files: list[str]) -> Iterator[str]:
    with tarfile.open(path) as source:
        names = {name.partition("/")[2] for name in source.getnames()}
    for name in sorted(set(files) - names):
        if not name.startswith(".github/"):
            yield f"{path.name} lacks {name}. Add it to MANIFEST.in."


if __name__ == "__main__":
    (folder,) = sys.argv[1:] or ["dist"]
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\n")[:-1]
    faults = main(Path(folder), tracked)
    print("\n".join(faults) or "Wheel and source distribution hold what they should.")
    sys.exit(1 if faults else 0)
