"""provenance.json of a run folder: with what, on what and how the run was made."""

import os
import platform
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kd_keras import files
from kd_keras.job.run_folders import versions

NAME = "provenance.json"
#: Entry that says where the teacher's outputs came from, by phase of the student.
TEACHER_OUTPUTS = "teacher_outputs"


def of_this_machine() -> dict[str, Any]:
    """What decides the bits of a result beside recipe, data and models; starts TensorFlow."""
    import tensorflow as tf

    from kd_keras.graph import precision
    from kd_keras.job.hardware import devices

    return {
        "command": shlex.join(["kdk" if _is_kdk() else sys.argv[0], *sys.argv[1:]]),
        "code": versions.git_revision(),
        "versions": versions.package_versions(),
        "machine": platform.machine(),
        "system": platform.platform(),
        "devices": [device.name for device in tf.config.list_logical_devices()],
        "gpus": devices.gpu_names(),
        "cpu_cores": os.cpu_count(),
        "cpu_flags": sorted(precision.cpu_flags()),
    }


def add_teacher_outputs(folder: Path, phase: str, /, **facts: Any) -> None:
    """Adds where the outputs that a student learned from came from.

    Args:
        folder: the run folder.
        phase: name of the phase that trains the student.
        facts: "source" ("teacher": it ran beside the student; or "cache"), "why", and of a cache
            its "folder", "dtype" and "fingerprint".
    """
    path = folder / NAME
    entries = read(folder)
    outputs = {**entries.get(TEACHER_OUTPUTS, {}), phase: facts}
    files.write_json(path, {**entries, TEACHER_OUTPUTS: outputs})


def read(folder: Path) -> dict[str, Any]:
    """The contents of provenance.json; empty if there is none."""
    path = folder / NAME
    return files.read_json(path) if path.is_file() else {}


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """A line for each fact that two runs do not share, but for their commands and folders.

    Args:
        first, second: contents of two provenance.json.
    """
    lines = []
    for name in sorted({*first, *second} - {"command"}):
        first_value, second_value = _comparable(first.get(name)), _comparable(second.get(name))
        if first_value != second_value:
            lines.append(f"{name}: {first_value} -> {second_value}")
    return lines


def _comparable(value: Any) -> Any:
    """The value without folders, which say where something lies and not what it is."""
    if isinstance(value, Mapping):
        return {name: _comparable(item) for name, item in value.items() if name != "folder"}
    return value


def _is_kdk() -> bool:
    return Path(sys.argv[0]).name in ("kdk", "__main__.py")
