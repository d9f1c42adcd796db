"""TF_CONFIG: which processes train together, and which of them this one is."""

import dataclasses
import json
import os

NAME = "TF_CONFIG"
_EXAMPLE = (
    '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
)
_KINDS = ("chief", "worker")


@dataclasses.dataclass(frozen=True)
class Task:
    """This process's place, from 0, among `count` processes that train together."""

    place: int
    count: int


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
        other_kinds = sorted({*cluster, task.get("type", "worker")} - set(_KINDS))
        sizes = {kind: len(cluster.get(kind, ())) for kind in _KINDS}
        index = int(task.get("index", 0))
        kind = task.get("type", "worker")
    except (ValueError, TypeError, AttributeError) as error:
        raise _wrong_value(text, f"which cannot be read ({error})") from error
    if other_kinds:
        raise _wrong_value(text, f"with tasks of type {other_kinds[0]!r}")
    if sum(sizes.values()) < 2:
        return None
    if not 0 <= index < sizes[kind]:
        raise _wrong_value(text, f"with {kind} {index} of {sizes[kind]}")
    place = index + (sizes["chief"] if kind == "worker" else 0)
    return Task(place, sum(sizes.values()))


def _wrong_value(text: str, fault: str) -> ValueError:
    return ValueError(
        f"{NAME} is {text!r}, {fault}; expected chiefs and workers alone, such as {_EXAMPLE}. "
        "Correct it, or unset it to train on this machine alone."
    )
