"""The run folders in a folder: what each trained and gained, or where it stopped."""

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kd_keras import files
from kd_keras.job.recipe import recipe_files, spec
from kd_keras.job.run_folders import run_state
from kd_keras.job.run_folders.run_state import RunState
from kd_keras.results import phase_names
from kd_keras.results.metrics import main_score
from kd_keras.results.phase_names import BASELINE, STUDENT
from kd_keras.results.terminal import paths, table
from kd_keras.results.terminal.screen import Screen

FINISHED, UNFINISHED, BROKEN = "finished", "unfinished", "broken"
#: A table as wide as this has a column for everything.
WIDE = 110


def runs(folders: Sequence[str | Path] = (recipe_files.RUNS,)) -> list[dict[str, Any]]:
    """Reads run folders, without Keras.

    Args:
        folders: run folders, and folders that hold run folders.

    Returns:
        For each run, in the order of names, `run` (path), `state` ("finished", "unfinished",
        "broken"), `changed` (date and time, ISO 8601), `bytes`, `problem` (of a broken one). Those
        that can be read have `dataset`, `teacher`, `seed`, `progress`, `running` (the process that
        works on it now, in words; None if none does), `command` (continues it) and
        `students`: for each `model`, `methods`, `top1` (of multi-label data `map`) and `gain` over
        the student alone with `low` and `high`, its 95 % interval over images; fractions, None if
        unknown.

    Raises:
        FileNotFoundError: a folder does not exist.
    """
    by_resolved_path: dict[Path, Path] = {}
    for folder in map(Path, folders):
        folder = folder.expanduser()
        if not folder.is_dir():
            raise FileNotFoundError(
                f"folder {folder} does not exist; expected run folders, or folders that hold them. "
                "Check the path; `kdk train` makes runs in ./runs."
            )
        folders_inside = [folder] if run_state.is_run(folder) else sorted(folder.iterdir())
        by_resolved_path |= {
            path.resolve(): path for path in folders_inside if run_state.is_run(path)
        }
    return [_entry(path) for path in by_resolved_path.values()]


def show(entries: Sequence[Mapping[str, Any]], screen: Screen, *, width: int) -> None:
    """Shows a table of the finished runs, then lines on the others.

    Args:
        entries: from `runs`.
        screen: where they are shown.
        width: columns of the terminal; a narrow one has fewer columns.
    """
    finished_entries = [entry for entry in entries if entry["state"] == FINISHED]
    students = [student for entry in finished_entries for student in entry["students"]]
    names = sorted({_score(student).name for student in students}, reverse=True)
    rows = [
        _row(entry, student, width, names=len(names) > 1)
        for entry in entries
        if entry["state"] == FINISHED
        for student in entry["students"]
    ]
    if rows:
        wide_columns = ["data", "teacher -> student"] if width >= WIDE else []
        gain = "gain, points\n(95 % interval)"
        heading = " / ".join(names)
        screen.table("Runs", ["run", *wide_columns, f"{heading}\n%", gain, "changed", "size"], rows)
    for entry in entries:
        if entry["state"] == UNFINISHED:
            change_time = entry["changed"].replace("T", " ")[:16]
            process = entry["running"]
            state = f"running: {entry['run']}" if process else f"unfinished: {entry['run']}"
            screen.result(f"{state} ({entry['progress']}; {process or change_time})")
            if not process:
                screen.result(f"  continue: {entry['command']}")
        if entry["state"] == BROKEN:
            screen.warn(f"{entry['run']} cannot be read: {entry['problem']}")


def _entry(path: Path) -> dict[str, Any]:
    times = [file.stat().st_mtime for file in path.rglob("*") if file.is_file()]
    last = max(times, default=path.stat().st_mtime)
    change_time = datetime.datetime.fromtimestamp(last).isoformat(timespec="seconds")
    entry = {"run": str(path), "changed": change_time, "bytes": files.size(path)}
    try:
        state = run_state.read(path)
        return {**entry, **_state_text(state)}
    except (ValueError, OSError) as error:
        return {**entry, "state": BROKEN, "problem": str(error)}


def _state_text(state: RunState) -> dict[str, Any]:
    recipe = state.recipe
    return {
        "state": UNFINISHED if state.results is None else FINISHED,
        "dataset": recipe.dataset,
        "teacher": " + ".join(recipe.teacher),
        "seed": recipe.seed,
        "progress": state.progress,
        "running": None if state.holder is None else str(state.holder),
        "command": state.command,
        "students": [] if state.results is None else _students(state),
    }


def _students(state: RunState) -> list[dict[str, Any]]:
    results = state.results or {}
    gains = {
        entry["phase"]: {"gain": entry["difference"], "low": entry["low"], "high": entry["high"]}
        for entry in results.get("comparisons", ())
        if phase_names.role(entry["other"], results) == BASELINE
    }
    return [
        {
            "phase": phase,
            "model": results[phase].get("spec", state.recipe.student[0]),
            "methods": list(results[phase].get("methods", state.recipe.method)),
            (key := main_score.score_of_results(results).key): results[phase][key],
            **gains.get(phase, {"gain": None, "low": None, "high": None}),
        }
        for phase in table.models(results)
        if phase_names.role(phase, results) == STUDENT
    ]


def _row(
    entry: Mapping[str, Any], student: Mapping[str, Any], width: int, *, names: bool
) -> list[str | None]:
    """The cells of a student; with `names`, its score's name stands beside it.

    Args:
        entry: the run.
        student: the entry of one of its students.
        width: width of the terminal in characters.
        names: whether the score's name is shown.
    """
    models = f"{_short_spec(entry['teacher'])} -> {_short_spec(student['model'])}"
    data = _short_spec(entry["dataset"])
    name = Path(entry["run"]).name
    if student["phase"] != STUDENT:
        name += f" {phase_names.display_name(student['phase'])}"
    wide_cells = [data, models] if width >= WIDE else []
    gain = None
    if student["gain"] is not None:
        low, high = student["low"] * 100, student["high"] * 100
        gain = f"{student['gain'] * 100:+.1f} ({low:+.1f} to {high:+.1f})"
    name_cell = name if wide_cells else f"{name}: {data}, {models}"
    size = paths.megabytes(entry["bytes"])
    score = _score(student)
    value = f"{100 * student[score.key]:.2f}"
    if names:
        value = f"{score.name} {value}"
    return [name_cell, *wide_cells, value, gain, entry["changed"][:10], size]


def _score(student: Mapping[str, Any]) -> main_score.Score:
    return main_score.score_of_groups([student])


def _short_spec(text: str) -> str:
    """A spec without its folders: "runs/a/teacher.keras" is a/teacher.keras."""
    name, _ = spec.parse(text) if " + " not in text else (text, {})
    is_path = "/" in name and not name.startswith("tfds:")
    return "/".join(Path(name.removeprefix("folder:")).parts[-2:]) if is_path else text
