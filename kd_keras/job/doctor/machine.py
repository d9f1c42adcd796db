"""The machine: devices, the precision that fits them, memory and disks."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from kd_keras import data
from kd_keras.job.doctor.finding import FINE, MISSING, WRONG, Finding
from kd_keras.job.recipe import recipe_files
from kd_keras.results.terminal import paths

# Of processors, with what they do for training.
_FLAGS = {
    "avx2": "fast float32",
    "avx512f": "faster float32",
    "avx512_bf16": "fast bfloat16",
    "amx_bf16": "fastest bfloat16",
}
_BFLOAT16 = ("avx512_bf16", "amx_bf16")
_LITTLE_MEMORY = 4e9  # bytes; TensorFlow alone takes about 1e9
_LITTLE_DISK = 5e9  # bytes; Tiny ImageNet's archive and store take 1.6e9
_CUDA = "pip install 'kd-keras[cuda]'"


def findings() -> Iterator[Finding]:
    """Devices, processor, precision, memory, and the disks of the cache and run folders."""
    try:
        from kd_keras.graph import quiet_import

        quiet_import.import_keras()
    except (ImportError, OSError) as error:
        remedy = "pip install --force-reinstall tensorflow keras"
        yield Finding("TensorFlow", WRONG, f"it cannot be imported: {error}", remedy)
    else:
        yield from _devices()
    yield from _memory()
    yield from _disks()


def _devices() -> Iterator[Finding]:
    from kd_keras.graph import precision
    from kd_keras.job.hardware import devices

    gpus, cores = devices.gpu_names(), len(_cores())
    if gpus:
        yield Finding("devices", FINE, f"{len(gpus)} GPUs: {', '.join(gpus)}; {cores} CPU cores")
    elif Path("/proc/driver/nvidia/version").exists():
        text = f"a GPU that TensorFlow does not see; training runs on {cores} CPU cores"
        yield Finding("devices", MISSING, text, _CUDA)
    else:
        yield Finding("devices", FINE, f"no GPU; training runs on {cores} CPU cores")
    flags = precision.cpu_flags()
    words = ", ".join(f"{name} {'yes' if name in flags else 'no'}" for name in _FLAGS)
    yield Finding("processor", FINE, words if flags else "its features are not known here")
    best_precision = precision.best_precision()
    yield Finding(
        "precision", FINE, f"auto is {best_precision}: {_reason(best_precision, bool(gpus))}"
    )


def _reason(precision: str, gpu: bool) -> str:
    if precision == "float32":
        return "a GPU here is below capability 7.0" if gpu else f"no {' or '.join(_BFLOAT16)} here"
    return "every GPU here has hardware for it" if gpu else "the processor has hardware for it"


def _memory() -> Iterator[Finding]:
    free_bytes, total_bytes = memory()
    if total_bytes is None or free_bytes is None:
        yield Finding("memory", FINE, "its size is not known here")
        return
    text = f"{free_bytes / 1e9:.1f} GB free of {total_bytes / 1e9:.1f} GB"
    is_low = free_bytes < _LITTLE_MEMORY
    remedy = "close other programs, or train with a smaller --batch-size" if is_low else ""
    yield Finding("memory", MISSING if is_low else FINE, text, remedy)


def memory() -> tuple[float | None, float | None]:
    """Free and total memory, at most what a container may use; None if unknown."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None, None  # not Linux
    sizes = {line.split(":")[0]: 1024.0 * int(line.split()[1]) for line in lines}
    free_bytes, total_bytes = sizes.get("MemAvailable"), sizes.get("MemTotal")
    try:
        limit = float(Path("/sys/fs/cgroup/memory.max").read_text())
        used_bytes = float(Path("/sys/fs/cgroup/memory.current").read_text())
    except (OSError, ValueError):  # no container, or no limit
        return free_bytes, total_bytes
    return min(free_bytes or limit, limit - used_bytes), min(total_bytes or limit, limit)


def _disks() -> Iterator[Finding]:
    folders = {
        "cache folder": (data.cache_folder(), "set KD_KERAS_CACHE to a folder on another disk"),
        "run folder": (recipe_files.RUNS.absolute(), "go to a folder of yours, or give --run PATH"),
    }
    for name, (folder, remedy) in folders.items():
        existing_folder = next(parent for parent in (folder, *folder.parents) if parent.exists())
        free_bytes = shutil.disk_usage(existing_folder).free
        text = f"{paths.short_path(folder)}, {free_bytes / 1e9:,.0f} GB free"
        if not os.access(existing_folder, os.W_OK):
            yield Finding(name, WRONG, f"{paths.short_path(folder)} cannot be written", remedy)
        elif free_bytes < _LITTLE_DISK:
            yield Finding(name, MISSING, text, f"free some space, or {remedy}")
        else:
            yield Finding(name, FINE, text)


def _cores() -> set[int]:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))
