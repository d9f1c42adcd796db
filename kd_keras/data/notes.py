"""Notes on a dataset: what was left out, held out or changed, and which splits that concerns."""

from collections.abc import Mapping, Sequence
from typing import Any

_NOTES, _SPLITS = "notes", "note_splits"


class Note(str):
    """A sentence on a dataset that concerns some of its splits only.

    Args:
        text: the sentence.
        splits: names of the splits; none: it concerns all of them, as a plain `str` does.
    """

    splits: tuple[str, ...]

    def __new__(cls, text: str, *splits: str) -> "Note":
        note = super().__new__(cls, text)
        note.splits = splits
        return note


def concerns(note: str, split: str) -> bool:
    """Whether a note concerns a split; notes on single splits do not concern "all" images."""
    splits = splits_of(note)
    return not splits or split in splits


def splits_of(note: str) -> tuple[str, ...]:
    """The splits that a note concerns; none stands for all."""
    return note.splits if isinstance(note, Note) else ()


def to_json(notes: Sequence[str]) -> dict[str, Any]:
    """Notes as entries of a store's header, which programs of an earlier version read too."""
    return {_NOTES: list(notes), _SPLITS: [splits_of(note) for note in notes]}


def from_json(header: Mapping[str, Any]) -> tuple[str, ...]:
    """The notes in a store's header; without splits if an earlier version wrote it."""
    texts = header.get(_NOTES, ())
    splits = header.get(_SPLITS, [()] * len(texts))
    return tuple(Note(text, *names) for text, names in zip(texts, splits, strict=True))
