"""A finding of `kdk doctor`: what was looked at, whether it is fine, and what to do if not."""

import dataclasses

FINE, MISSING, WRONG = "fine", "missing", "wrong"


@dataclasses.dataclass(frozen=True)
class Finding:
    """One line of `kdk doctor`.

    Attributes:
        name: what was looked at, in a word or two.
        state: "fine"; "missing", which some commands need; "wrong", with which nothing trains.
        text: what was found.
        remedy: what to type or to do; "" if fine.
    """

    name: str
    state: str
    text: str
    remedy: str = ""
