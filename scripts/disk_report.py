"""The cases of scripts/full_disks.py as a file, from which a later call goes on, and as a table."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kd_keras import files
from kd_keras.results.terminal.screen import Screen

FAULTS = ("full", "read-only", "removed")
Case = dict[str, Any]  # "writer", "fault", "exit_code", "message", "wrong"


def earlier(output: Path | None) -> list[Case]:
    """The cases of an earlier call that were right, and need not run again."""
    if output is None or not output.is_file():
        return []
    cases: list[Case] = json.loads(output.read_text())["cases"]
    return [case for case in cases if not case["wrong"]]


def write(output: Path | None, cases: Sequence[Case]) -> None:
    if output is not None:
        files.write_json(output, {"counts": counts(cases), "cases": cases})


def counts(cases: Sequence[Case]) -> dict[str, dict[str, int]]:
    """How many cases of each fault ended how."""
    totals = {fault: dict.fromkeys(("message", "goes on", "WRONG"), 0) for fault in FAULTS}
    for case in cases:
        totals[case["fault"]][_end(case)] += 1
    return totals


def show(cases: Sequence[Case]) -> None:
    ends = {(case["writer"], case["fault"]): _end(case) for case in cases}
    rows = [
        [name, *(ends.get((name, fault), "") for fault in FAULTS)]
        for name in dict.fromkeys(case["writer"] for case in cases)
    ]
    Screen().table("What happened", ["writer", *FAULTS], rows)


def _end(case: Case) -> str:
    if case["wrong"]:
        return "WRONG"
    return "message" if case["exit_code"] == 2 else "goes on"
