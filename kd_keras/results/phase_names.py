"""Phases of a run: the names that people see, and the role of each phase's model.

Files and TensorBoard's runs are named by the phase, such as "baseline" or "student-2".
"""

from collections.abc import Mapping
from typing import Any

ASSISTANT, BASELINE, GENERATION = "assistant", "baseline", "generation"
STUDENT, TEACHER = "student", "teacher"


def has_unmeasured_teacher(results: Mapping[str, Any]) -> bool:
    """Whether the students' teacher has no accuracy: a cache of outputs, or an embedding."""
    return bool(results.get("teacher_cache") or results.get("teacher_embedding"))


def display_name(phase: str) -> str:
    """A phase's name on screen: "student alone" for "baseline", "student 2" for "student-2"."""
    name, _, number = phase.partition("-")
    return " ".join(filter(None, ["student alone" if name == BASELINE else name, number]))


def role(phase: str, results: Mapping[str, Any]) -> str:
    """The role of a phase's model: "teacher", "baseline", "assistant", "generation", "student".

    Args:
        phase: a phase in `results`.
        results: entries of results.json by phase.
    """
    entry = results[phase] or {}
    # Runs that an earlier version finished have no role; their phases are named by it.
    return str(entry.get("role") or phase.partition("-")[0])
