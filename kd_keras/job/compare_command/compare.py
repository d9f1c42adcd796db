"""Compares finished runs: which student is better, by how much, and at what cost."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras.job import output_paths
from kd_keras.job.compare_command import compared_runs, group_names
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.job.run_folders.run_state import RunState
from kd_keras.results import phase_names
from kd_keras.results.comparisons import comparison, comparison_lines, comparison_page
from kd_keras.results.comparisons.comparison import Group, Model
from kd_keras.results.phase_names import BASELINE, STUDENT, TEACHER
from kd_keras.results.terminal.screen import Screen


def compare(
    runs: Sequence[str | Path], *, html: str | Path | None = None, screen: Screen | None = None
) -> dict[str, Any]:
    """Compares the students of finished runs on the same validation images.

    Runs whose recipes differ only in their seeds are one group. The group of the first run is what
    the others are compared with.

    Args:
        runs: names or paths of run folders, two or more, or one with several students.
        html: file to write a page with plots to, with their PNG and CSV files in a folder beside
            it; None writes none.
        screen: where tables and lines are shown; None shows nothing.

    Returns:
        `data` (`dataset`, `fingerprint`, `images`), `groups` (see `comparison.measurements`),
        `differences` (see `comparison.differences`), `fields` (fields of the recipes that differ,
        with each group's value), `runs` (`run`, `groups`, `seed`, `devices`, `versions`), `notes`
        and `verdict` (sentences).

    Raises:
        FileNotFoundError: a folder does not exist or holds no run.
        ValueError: a run is not finished or given twice, or the validation images differ.
    """
    page = None if html is None else Path(html).expanduser()
    if page is not None:
        output_paths.require_file(page, "--html")
        output_paths.require_folder(page.with_suffix(""), "--html")  # its plots
    states = compared_runs.read(runs)
    labels = compared_runs.labels_of(states)
    recipes, students = _students(states, labels)
    groups = [*students, *_other_groups(states, students, labels)]
    document: dict[str, Any] = {
        "data": {
            "dataset": states[0].recipe.dataset,
            "fingerprint": states[0].provenance.get("data"),
            "images": len(labels),
        },
        "groups": comparison.measurements(groups),
        "differences": comparison.differences(students),
        "fields": group_names.fields(dict(zip((g.name for g in students), recipes, strict=True))),
        "runs": [_run(state, students) for state in states],
        "notes": _notes(states),
    }
    document["verdict"] = comparison_lines.verdict(document)
    if screen is not None:
        comparison_lines.show(document, screen)
    if page is not None:
        comparison_page.write(page, document)
        if screen is not None:
            screen.result(f"page: {page}, its plots as PNG and CSV in {page.with_suffix('')}")
    return document


def _students(states: Sequence[RunState], labels: np.ndarray) -> tuple[list[Recipe], list[Group]]:
    """The groups of students, and the recipe of each group's first run."""
    members: dict[tuple[str, str], list[Model]] = {}
    first: dict[tuple[str, str], tuple[RunState, str]] = {}
    for state in states:
        for phase in compared_runs.phases(state, STUDENT):
            key = (group_names.key(state.recipe), phase)
            members.setdefault(key, []).append(compared_runs.model(state, phase, labels))
            first.setdefault(key, (state, phase))
    names = group_names.names(list(first.values()))
    groups = [Group(n, STUDENT, m) for n, m in zip(names, members.values(), strict=True)]
    return [state.recipe for state, _ in first.values()], groups


def _other_groups(
    states: Sequence[RunState], students: Sequence[Group], labels: np.ndarray
) -> list[Group]:
    """Groups of students alone and of teachers; models that several groups share count once.

    Args:
        states: states of the compared runs.
        students: groups of distilled students.
        labels: labels of the validation images.
    """
    by_path = {str(state.path): state for state in states}
    facts_of_groups: list[tuple[str, str, str, dict[int, Model]]] = []
    for role in (BASELINE, TEACHER):
        for group in students:
            runs = [by_path[model.run] for model in group.models]
            for phase in compared_runs.phases(runs[0], role):
                models = {
                    run.recipe.seed: compared_runs.model(run, phase, labels)
                    for run in runs
                    if phase in compared_runs.phases(run, role)
                }
                equal_groups = [
                    o
                    for o in facts_of_groups
                    if o[:2] == (role, phase) and _are_same_models(o[3], models)
                ]
                if equal_groups:
                    equal_groups[0][3].update(models)
                else:
                    facts_of_groups.append((role, phase, group.name, models))
    words = [phase_names.display_name(phase) for _, phase, _, _ in facts_of_groups]
    return [
        Group(f"{word} of {owner}" if words.count(word) > 1 else word, role, [*models.values()])
        for word, (role, _, owner, models) in zip(words, facts_of_groups, strict=True)
    ]


def _are_same_models(models: Mapping[int, Model], other_models: Mapping[int, Model]) -> bool:
    """Whether models with the same seed are the same ones."""
    seeds = models.keys() & other_models.keys()
    return bool(seeds) and all(
        models[seed].architecture == other_models[seed].architecture
        and np.array_equal(models[seed].correct, other_models[seed].correct)
        for seed in seeds
    )


def _run(state: RunState, students: Sequence[Group]) -> dict[str, Any]:
    path = str(state.path)
    return {
        "run": path,
        "groups": [g.name for g in students if path in {model.run for model in g.models}],
        "seed": state.recipe.seed,
        "devices": state.provenance.get("devices"),
        "versions": state.provenance.get("versions"),
        "command": state.command,
    }


def _notes(states: Sequence[RunState]) -> list[str]:
    """Warnings for the reader of the comparison, one sentence each."""
    devices = {(str(s.provenance.get("machine")), str(s.provenance.get("devices"))) for s in states}
    versions = {str(sorted(dict(s.provenance.get("versions") or {}).items())) for s in states}
    notes = []
    if len(devices) > 1:
        notes.append("The runs had different devices, so their times cannot be compared.")
    if len(versions) > 1:
        notes.append("The runs had different versions of kd_keras, Keras, TensorFlow or Python.")
    return notes
