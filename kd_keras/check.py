"""Argument checks. A message says what was given, what is allowed, and what to do."""

import difflib
import math
import numbers
from collections.abc import Iterable
from typing import Any


def one_of(what: str, got: Any, allowed: Iterable[Any], *, remedy: str = "") -> Any:
    """Returns `got` if it is allowed; otherwise raises ValueError, which names the nearest one."""
    allowed = list(allowed)
    if got in allowed:
        return got
    near = difflib.get_close_matches(str(got), [str(a) for a in allowed], n=1)
    names = ", ".join(sorted(str(a) for a in allowed))
    hints = [f"Did you mean {near[0]!r}?"] if near else []
    hints += [remedy] if remedy or near else ["Choose one of these."]
    raise ValueError(
        " ".join([f"{what} is {got!r}; expected one of: {names}.", *filter(None, hints)])
    )


def number(
    what: str,
    got: Any,
    *,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    remedy: str = "",
) -> float:
    """Returns `got` as a float if it is finite and within bounds; otherwise raises ValueError."""
    bounds = [
        f"> {above:g}" if above is not None else "",
        f">= {at_least:g}" if at_least is not None else "",
        f"<= {at_most:g}" if at_most is not None else "",
    ]
    expected = f"a finite number {' and '.join(filter(None, bounds))}".rstrip()
    fits = isinstance(got, numbers.Real) and not isinstance(got, bool) and math.isfinite(got)
    fits = fits and (above is None or got > above)
    fits = fits and (at_least is None or got >= at_least)
    fits = fits and (at_most is None or got <= at_most)
    if not fits:
        remedy = remedy or "Give such a number."
        raise ValueError(f"{what} is {got!r}; expected {expected}. {remedy}")
    return float(got)


def whole_number(what: str, got: Any, *, at_least: int = 0, remedy: str = "") -> int:
    """Returns `got` as an int if it is whole and >= `at_least`; otherwise raises ValueError."""
    if isinstance(got, bool) or not isinstance(got, numbers.Integral) or got < at_least:
        remedy = remedy or "Give such a number."
        raise ValueError(f"{what} is {got!r}; expected a whole number >= {at_least}. {remedy}")
    return int(got)


def text(what: str, got: Any, *, remedy: str = "") -> str:
    """Returns `got` if it is a string and not empty; otherwise raises ValueError."""
    if not isinstance(got, str) or not got:
        remedy = remedy or "Give a string that is not empty."
        raise ValueError(f"{what} is {got!r}; expected a name. {remedy}")
    return got
