"""Spellings of an earlier version that are still read, with a warning, for one minor release."""

import warnings


class OldSpelling(FutureWarning):
    """Something is written as in an earlier version; the next minor release refuses it."""


def warn(text: str) -> None:
    """Warns of an old spelling; `text` says what was written and what to write instead."""
    warnings.warn(f"{text} The next minor release refuses the old form.", OldSpelling, stacklevel=3)
