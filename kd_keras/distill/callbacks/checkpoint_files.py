"""The checkpoints of a training in a folder: the last two, each with a checksum."""

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras import files

# Arrays by variable: one for each replica, or one where all replicas of several processes have
# the same. Names are "<model>/<number>".
State = dict[str, list[np.ndarray]]

NUM_CHECKPOINTS = 2
_FORMAT = 2


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
    def step_text(self) -> str:
        return f"step {self.batch} of {self.steps_per_epoch} of epoch {self.epoch + 1}"

    @property
    def age(self) -> str:
        """How long ago it was saved, such as "3 minutes ago"."""
        minutes = max(0, round((time.time() - self.saved) / 60))  # a clock may be set back
        if minutes < 1:
            return "less than a minute ago"
        units = ("minute", minutes), ("hour", minutes // 60), ("day", minutes // (24 * 60))
        unit, number = [(unit, number) for unit, number in units if number >= 1][-1]
        return f"{number} {unit}{'s' if number > 1 else ''} ago"


def write(folder: Path, position: Position, state: State) -> None:
    """Writes a checkpoint, whole or not at all, then removes those before the last two.

    Args:
        folder: folder of the checkpoints, made if needed.
        position: where the training stands.
        state: arrays of each variable by name, see `training_state.read`.

    Raises:
        OSError: writing failed; earlier checkpoints stay.
    """
    arrays = folder / f"step-{position.step:09d}.npz"
    names = list(state)
    with files.atomic_write(arrays) as new_path, new_path.open("wb") as file:
        arrays_by_name = {
            f"{n}.{k}": a for n, name in enumerate(names) for k, a in enumerate(state[name])
        }
        np.savez(file, **arrays_by_name)  # type: ignore[arg-type]
    header = {
        "format": _FORMAT,
        "sha256": files.sha256(arrays),
        "names": names,
        "position": dataclasses.asdict(position),
    }
    with files.atomic_write(arrays.with_suffix(".json")) as new_path:
        # A metric may be NaN, which `files.write_json` refuses.
        new_path.write_text(json.dumps({**header, "header_sha256": _checksum(header)}, indent=2))
    for old_header in _headers(folder)[:-NUM_CHECKPOINTS]:
        _remove(old_header)


def keep_only(folder: Path, position: Position | None) -> None:
    """Removes every checkpoint but the one at `position`, and files that are incomplete.

    Args:
        folder: folder of the checkpoints.
        position: position of the checkpoint that stays; None: none stays.
    """
    kept_stem = "" if position is None else f"step-{position.step:09d}"
    for path in [*folder.glob("step-*.json"), *folder.glob("step-*.npz")]:
        if path.stem != kept_stem:
            path.unlink(missing_ok=True)


def newest(
    folder: Path,
    *,
    tell: Callable[[str], None] = lambda line: None,
    is_usable: Callable[[Position], bool] = lambda position: True,
) -> tuple[Position, State] | None:
    """The newest checkpoint that is whole; None if there is none.

    Args:
        folder: folder of the checkpoints, which need not exist.
        tell: called with a sentence about each damaged checkpoint, which is passed over.
        is_usable: whether a checkpoint belongs to this training.
    """
    for header in reversed(_headers(folder)):
        try:
            entries, position = _read_header(header)
            if is_usable(position):
                return position, _read_arrays(header, entries)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
            tell(f"checkpoint {header.with_suffix('.npz')} is damaged ({error}); it is not used")
    return None


def newest_position(folder: Path) -> Position | None:
    """The position of the newest checkpoint whose header is whole; reads no arrays."""
    for header in reversed(_headers(folder)):
        try:
            return _read_header(header)[1]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return None


def _headers(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.json"))


def _read_header(header: Path) -> tuple[dict[str, Any], Position]:
    entries = json.loads(header.read_text(encoding="utf-8"))
    if entries["format"] != _FORMAT:
        raise ValueError("another version wrote it")
    if entries.pop("header_sha256") != _checksum(entries):
        raise ValueError(f"the checksum of {header.name} differs")
    return entries, Position(**entries["position"])


def _read_arrays(header: Path, entries: Mapping[str, Any]) -> State:
    names, arrays = entries["names"], header.with_suffix(".npz")
    if files.sha256(arrays) != entries["sha256"]:
        raise ValueError("its checksum differs")
    state: State = {name: [] for name in names}
    with np.load(arrays, allow_pickle=False) as file:
        for key in file.files:
            state[names[int(key.partition(".")[0])]].append(file[key])
    return state


def _checksum(header: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()


def _remove(header: Path) -> None:
    header.unlink(missing_ok=True)
    header.with_suffix(".npz").unlink(missing_ok=True)
