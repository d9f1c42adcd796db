"""All that is needed to run the training again: recipe, versions, data, seeds, machine, command."""

import shlex
from collections.abc import Mapping
from typing import Any

from kd_keras.results.page.page_elements import Code, Element, Section, Table, Text
from kd_keras.results.report.finished_run import FinishedRun
from kd_keras.results.terminal import table


def section(run: FinishedRun) -> Section:
    """Recipe, versions, data, seeds and machine, and the command that runs it again."""
    folder = str(run.folder)
    command = ["kdk", "train", "--recipe", folder, "--run", f"{run.folder.name}-again"]
    facts = {**_data(run), **_machine(run.provenance)}
    elements: list[Element] = [
        Text("This command trains with the same recipe and seeds into a new run folder:"),
        Code(shlex.join(command)),
        Table(["fact", "value"], [*facts.items()], left=["value"]),
        Table(
            ["field", "value"],
            [[name, _as_text(value)] for name, value in run.recipe.items()],
            left=["value"],
            summary=f"All {len(run.recipe)} fields of the recipe",
        ),
    ]
    return Section("again", "Run it again", elements)


def _data(run: FinishedRun) -> dict[str, Any]:
    data = run.results.get("data", {})
    facts = {
        "dataset": run.data.dataset if run.data else run.recipe.get("dataset"),
        "images": data.get("summary"),
        "labels": table.labels(run.results),
        "measured on": table.evaluated_images(run.results),
        "data fingerprint": run.data.fingerprint if run.data else run.provenance.get("data"),
        "teacher": _as_text(run.recipe.get("teacher")),
        "student": _as_text(run.recipe.get("student")),
        "method": _as_text(run.recipe.get("method")),
        "seed": run.recipe.get("seed"),
    }
    return {name: value for name, value in facts.items() if value is not None}


def _machine(provenance: Mapping[str, Any]) -> dict[str, Any]:
    versions = provenance.get("versions", {})
    facts = {
        "precision": provenance.get("precision"),
        "replicas": provenance.get("replicas"),
        "devices": _as_text(provenance.get("devices")),
        "machine": provenance.get("machine"),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()) or None,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _as_text(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else value
