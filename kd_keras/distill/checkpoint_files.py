"""The checkpoints of a training in a folder: the last two, each with a checksum."""

import contextlib
import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from kd_keras import files
from kd_keras.distill.training_state import State

KEPT = 2
_FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Position:
    """How far a training was when its checkpoint was written.

    Attributes:
        epoch: the epoch, counted from 0.
        batch: number of steps done in that epoch, 0 to `steps_per_epoch`.
        steps_per_epoch: steps of each epoch.
        histories: by model, each logged value of the epochs before.
        seconds: time that the training took so far, over all calls.
        saved: time at which the checkpoint was written, in seconds since 1970.
        models: names of the models.
    """

    epoch: int
    batch: int
    steps_per_epoch: int
    histories: Mapping[str, Mapping[str, list[float]]]
    seconds: float
    saved: float
    models: Sequence[str]

    @property
    def step(self) -> int:
        """Steps done since the training began."""
        return self.epoch * self.steps_per_epoch + self.batch

    @property
    def minutes_ago(self) -> int:
        return max(0, round((time.time() - self.saved) / 60))


def write(folder: Path, position: Position, state: State) -> None:
    """Writes a checkpoint, whole or not at all, and removes those before the last two.

    Raises:
        OSError: writing failed; earlier checkpoints stay.
    """
    arrays = folder / f"step-{position.step:09d}.npz"
    names = list(state)
    with files.in_place_of(arrays) as fresh, fresh.open("wb") as file:
        named = {f"{n}.{k}": a for n, name in enumerate(names) for k, a in enumerate(state[name])}
        np.savez(file, **named)  # type: ignore[arg-type]
    header = {
        "format": _FORMAT,
        "sha256": files.sha256(arrays),
        "names": names,
        **dataclasses.asdict(position),
    }
    files.write_json(arrays.with_suffix(".json"), header)
    for old in _headers(folder)[:-KEPT]:
        _remove(old)


def newest(
    folder: Path,
    *,
    tell: Callable[[str], None] = lambda line: None,
    wanted: Callable[[Position], bool] = lambda position: True,
) -> tuple[Position, State] | None:
    """The newest checkpoint that is whole; None if there is none.

    Args:
        folder: folder of the checkpoints, which need not exist.
        tell: called with a sentence about each damaged checkpoint, which is passed over.
        wanted: whether a checkpoint is of the training that asks.
    """
    for header in reversed(_headers(folder)):
        try:
            position, state = _read(header)
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            tell(f"checkpoint {header.with_suffix('.npz')} is damaged ({error}); it is not used")
            continue
        if wanted(position):
            return position, state
    return None


def _headers(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.json"))


def _read(header: Path) -> tuple[Position, State]:
    entries = json.loads(header.read_text(encoding="utf-8"))
    if entries.pop("format") != _FORMAT:
        raise ValueError("another version wrote it")
    names, arrays = entries.pop("names"), header.with_suffix(".npz")
    if files.sha256(arrays) != entries.pop("sha256"):
        raise ValueError("its checksum differs")
    state: State = {name: [] for name in names}
    with np.load(arrays, allow_pickle=False) as stored:
        for key in stored.files:
            state[names[int(key.partition(".")[0])]].append(stored[key])
    return Position(**entries), state


def _remove(header: Path) -> None:
    with contextlib.suppress(OSError):
        header.unlink()
        header.with_suffix(".npz").unlink()
