"""TF_CONFIG: which processes train together, and which of them this one is."""

import dataclasses
import json
import os

NAME = "TF_CONFIG"
_EXAMPLE = (
    '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
)
_TASK_TYPES = ("chief", "worker")


@dataclasses.dataclass(frozen=True)
class Task:
    """Index of this process, from 0, among `num_processes` processes that train together."""

    process_index: int
    num_processes: int


def read() -> Task | None:
    """The task that TF_CONFIG names; None where it is not set, or names one process alone.

    Raises:
        ValueError: TF_CONFIG is not of the form that TensorFlow takes.
    """
    text = os.environ.get(NAME, "")
    if not text:
        return None
    try:
        settings = json.loads(text)
        cluster, task = settings.get("cluster", {}), settings.get("task", {})
        unknown_types = sorted({*cluster, task.get("type", "worker")} - set(_TASK_TYPES))
        sizes = {task_type: len(cluster.get(task_type, ())) for task_type in _TASK_TYPES}
        index = int(task.get("index", 0))
        task_type = task.get("type", "worker")
    except (ValueError, TypeError, AttributeError) as error:
        raise _wrong_value(text, f"which cannot be read ({error})") from error
    if unknown_types:
        raise _wrong_value(text, f"with tasks of type {unknown_types[0]!r}")
    if sum(sizes.values()) < 2:
        return None
    if not 0 <= index < sizes[task_type]:
        raise _wrong_value(text, f"with {task_type} {index} of {sizes[task_type]}")
    process_index = index + (sizes["chief"] if task_type == "worker" else 0)
    return Task(process_index, sum(sizes.values()))


def _wrong_value(text: str, fault: str) -> ValueError:
    return ValueError(
        f"{NAME} is {text!r}, {fault}; expected chiefs and workers alone, such as {_EXAMPLE}. "
        "Correct it, or unset it to train on this machine alone."
    )
