"""The files that were exported, and how each was checked in the program that runs it."""

import shlex
from collections.abc import Callable, Mapping
from typing import Any

from kd_keras.results.metrics import main_score
from kd_keras.results.page import drawing
from kd_keras.results.page.page_elements import Code, Element, Section, Table, Text
from kd_keras.results.report.finished_run import FinishedRun

_NONE = (
    "This command writes files for phones and other programs (LiteRT, ONNX, 8-bit integers). Their "
    "checks will be shown here:"
)
Entry = Mapping[str, Any]


def section(run: FinishedRun) -> Section:
    """SavedModels of the training, and the files of `kdk export`."""
    elements: list[Element] = []
    exported_phases = [phase for phase in run.phases if run.results[phase].get("export")]
    if exported_phases:
        elements.append(_saved_models(run, exported_phases))
    files = run.results.get("exports") or {}
    if files:
        elements.append(_files(files))
    else:
        elements += [Text(_NONE), Code(shlex.join(["kdk", "export", str(run.folder)]))]
    return Section("exports", "Exports and their checks", elements)


def _saved_models(run: FinishedRun, phases: list[str]) -> Table:
    rows = [
        [
            run.name(phase),
            (export := run.results[phase]["export"])["path"],
            f"{export['megabytes']:.2f}",
            f"{export['max_abs_difference']:.1e}",
        ]
        for phase in phases
    ]
    caption = (
        "SavedModels, each run in a session of its own after writing. Largest difference: of any "
        "probability on validation images, between the model and its file."
    )
    return Table(["model", "SavedModel", "MB", "largest difference"], rows, caption, ["SavedModel"])


def _files(files: Mapping[str, Entry]) -> Table:
    score = main_score.score_of_results(files)
    agreement_heading = "same answers %" if score is main_score.MAP else "same class %"
    columns: dict[str, Callable[[Entry], str | None]] = {
        f"{score.name} %": lambda entry: _percent(entry, score.key),
        "change (95 % interval)": _change,
        "MB": lambda entry: _number(entry, "megabytes", ".2f"),
        agreement_heading: lambda entry: _percent(entry, "agreement"),
        "ms/image, batch 1": _time,
        "largest difference": lambda entry: _number(entry, "max_abs_difference", ".1g"),
        "format": lambda entry: entry.get("format"),
        "quantize": lambda entry: entry.get("quantize"),
    }
    rows = [
        [name, *(cell_of(entry) for cell_of in columns.values())] for name, entry in files.items()
    ]
    images = max((int(entry.get("images") or 0) for entry in files.values()), default=0)
    caption = f"Files of `kdk export`, each run by its own program on {images:,} images."
    return Table(["file", *columns], rows, caption, ["format", "quantize"])


def _percent(entry: Entry, key: str) -> str | None:
    return None if entry.get(key) is None else f"{100 * entry[key]:.1f}"


def _number(entry: Entry, key: str, form: str) -> str | None:
    return None if entry.get(key) is None else format(entry[key], form)


def _time(entry: Entry) -> str | None:
    times = entry.get("milliseconds_per_image") or {}
    return drawing.digits(times["batch1"]) if "batch1" in times else None


def _change(entry: Entry) -> str | None:
    if "change" not in entry:
        return None
    change, low, high = (100 * entry[name] for name in ("change", "low", "high"))
    return f"{change:+.1f} ({low:+.1f} to {high:+.1f})"
