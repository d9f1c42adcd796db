"""Commands that benchmarks run in processes of their own, what they take, and on what machine."""

import contextlib
import importlib.metadata
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click

from kd_keras.results.terminal import table

KDK = [sys.executable, "-m", "kd_keras.cli"]
SAMPLE_SECONDS = 0.1
MAKE_MODEL = """
import sys
from kd_keras import models
from kd_keras.job.recipe import spec
name, knobs = spec.parse(sys.argv[1])
models.get(name, **{"num_classes": 200, "input_shape": (64, 64, 3), **knobs}).save(sys.argv[2])
"""


def watched(command: list[str], *, log: Path, env: dict[str, str]) -> dict[str, float]:
    """Runs a command to its end: its seconds and its and its children's most memory, bytes."""
    max_bytes, started = 0, time.perf_counter()
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=env)
        try:
            while process.poll() is None:
                max_bytes = max(max_bytes, anonymous(process.pid))
                time.sleep(SAMPLE_SECONDS)
        finally:
            process.kill()
    seconds = time.perf_counter() - started
    if process.returncode:
        raise click.ClickException(f"{' '.join(command)} failed: {log.read_text()[-2000:]}")
    return {"seconds": seconds, "most_anonymous_bytes": max_bytes}


def anonymous(pid: int | str) -> int:
    """RssAnon of a process and all below it, bytes; 0 if there is none any more."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    own_bytes = sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))
    return own_bytes + sum(map(anonymous, _children(pid)))


def _children(pid: int | str) -> list[str]:
    children: list[str] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children += task.read_text().split()
        except OSError:  # the thread ended meanwhile
            continue
    return children


def environment(work: Path, cache: Path) -> dict[str, str]:
    """Of a command: it finds this package, keeps compiled modules as one that is installed does,
    and has stores of its own."""
    variables = {
        name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
    }
    package = str(Path(table.__file__).parents[1])
    return variables | {
        "PYTHONPATH": os.pathsep.join(filter(None, [package, variables.get("PYTHONPATH")])),
        "PYTHONPYCACHEPREFIX": str(work / "compiled"),
        "KD_KERAS_CACHE": str(cache),
    }


def make_model(spec: str, file: Path, env: dict[str, str]) -> None:
    """Saves a model of Tiny ImageNet's classes with random weights, unless it is there."""
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        watched(
            [sys.executable, "-c", MAKE_MODEL, spec, str(file)],
            log=file.with_suffix(".txt"),
            env=env,
        )


def machine() -> dict[str, Any]:
    """The processor and the versions that figures depend on."""
    versions = {}
    for name in ("keras", "tensorflow", "torch"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    lines = [line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines()]
    facts = {name.strip(): value.strip() for name, _, value in lines}
    flags = facts.get("flags", "").split()
    return {
        "cpu": facts.get("model name", "unknown"),
        "cores": os.cpu_count(),
        "flags": sorted(f for f in flags if f.startswith("amx") or f == "avx512_bf16"),
        **versions,
    }
