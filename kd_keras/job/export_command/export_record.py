"""exports.json: the model and the check results of each file in an export folder."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kd_keras import files
from kd_keras.check import fault
from kd_keras.exports.export_targets import ExportTarget
from kd_keras.results.run_files import checksums

NAME = "exports.json"


def read(folder: Path) -> dict[str, Any]:
    """The entry of each file in the folder that an export wrote, by name.

    Raises:
        ValueError: the file that lists them is damaged.
    """
    path = folder / NAME
    if not path.is_file():
        return {}
    try:
        entries: dict[str, Any] = files.read_json(path)["files"]
        return {str(name): dict(entry) for name, entry in entries.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} cannot be read ({fault(error)}); expected what `kdk export` wrote. "
            "Restore or remove it."
        ) from None


def check(folder: Path, targets: list[ExportTarget], stem: str, model: str) -> None:
    """Raises ValueError if a file to write exists already and belongs to a different model.

    Args:
        folder: folder of the exported files.
        targets: the files to write.
        stem: what their names start with.
        model: what identifies the model, such as its resolved path.
    """
    entries = read(folder)
    for target in targets:
        name = target.name(stem)
        owner = entries.get(name, {}).get("model")
        if (folder / name).exists() and owner != model:
            owner_text = "something that `kdk export` did not write" if owner is None else owner
            raise ValueError(
                f"{folder / name} exists and is of {owner_text}; expected a folder for the files "
                f"of {model}. Choose another with --out, or give --overwrite."
            )


def add(folder: Path, name: str, entry: dict[str, Any]) -> None:
    """Adds or replaces the entry of one file.

    Args:
        folder: folder of the exported files.
        name: name of the file.
        entry: what was measured of it.
    """
    present_entries = {
        file_name: file_entry
        for file_name, file_entry in read(folder).items()
        if (folder / file_name).exists()
    }
    files.write_json(folder / NAME, {"files": {**present_entries, name: entry}})


def require_files(folder: Path, names: Iterable[str]) -> None:
    """Raises FileNotFoundError if a file that was written is no longer there."""
    for name in names:
        if not (folder / name).exists():
            raise FileNotFoundError(
                f"{folder / name} was removed while the export was running. Leave its folder in "
                "place, and run the export again."
            )


def add_to_results(run: Path, folder: Path, entries: dict[str, Any]) -> None:
    """Puts the entries into the run's results.json, under "exports", by the files' paths.

    Paths within the run folder are relative to it.

    Args:
        run: the run folder; without a results.json, nothing is written.
        folder: folder of the exported files.
        entries: what was measured, by name of the file.
    """
    path = run / "results.json"
    if not path.is_file():
        return
    results = files.read_json(path)
    is_inside = folder.resolve().is_relative_to(run.resolve())
    parent = folder.resolve().relative_to(run.resolve()) if is_inside else folder.resolve()
    exports = results.get("exports", {})
    exports |= {str(parent / name): entry for name, entry in entries.items()}
    files.write_json(path, {**results, "exports": exports})
    checksums.update(run, path.name)
