"""Argument checks. A message says what was given, what is allowed, and what to do."""

import difflib
import math
import numbers
from collections.abc import Iterable
from typing import Any

#: Numbers of methods and training beyond these overflow or vanish in float32 once they are squared.
SMALLEST, LARGEST = 1e-9, 1e9
LARGEST_WHOLE = 2**63 - 1  # of 64 bits


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
    """Returns `got` as a float if it is finite and within bounds; otherwise raises ValueError.

    Numbers that float32 could not square are refused too: beyond ±`LARGEST`, and with `above`, less
    than `SMALLEST` above it.
    """
    bounds = [
        f"> {above:g}" if above is not None else "",
        f">= {at_least:g}" if at_least is not None else "",
        f"<= {at_most:g}" if at_most is not None else "",
    ]
    expected = f"a finite number {' and '.join(filter(None, bounds))}".rstrip()
    fits = isinstance(got, numbers.Real) and not isinstance(got, bool)
    if fits and abs(got) > LARGEST and not math.isinf(got := _as_float(got)):
        fits, expected = False, f"{expected}, from {-LARGEST:g} to {LARGEST:g}"
    elif fits and above is not None and above < got < above + SMALLEST:
        fits, expected = False, f"{expected}, by {SMALLEST:g} or more"
    fits = fits and math.isfinite(got)
    fits = fits and (above is None or got > above)
    fits = fits and (at_least is None or got >= at_least)
    fits = fits and (at_most is None or got <= at_most)
    if not fits:
        remedy = remedy or "Give such a number."
        raise ValueError(f"{what} is {got!r}; expected {expected}. {remedy}")
    return float(got)


def _as_float(number: Any) -> float:
    """The number as a float: infinite if it is a whole number that is too large for one."""
    try:
        return float(number)
    except OverflowError:
        return math.inf


def whole_number(
    what: str, got: Any, *, at_least: int = 0, at_most: int = LARGEST_WHOLE, remedy: str = ""
) -> int:
    """Returns `got` as an int if it is whole and within bounds; otherwise raises ValueError."""
    is_whole = isinstance(got, numbers.Integral) and not isinstance(got, bool)
    if not is_whole or not at_least <= got <= at_most:
        remedy = remedy or "Give such a number."
        most = f" and <= {at_most}" if at_most != LARGEST_WHOLE else ""
        raise ValueError(
            f"{what} is {got!r}; expected a whole number >= {at_least}{most}. {remedy}"
        )
    return int(got)


def text(what: str, got: Any, *, remedy: str = "") -> str:
    """Returns `got` if it is a string and not empty; otherwise raises ValueError."""
    if not isinstance(got, str) or not got:
        remedy = remedy or "Give a string that is not empty."
        raise ValueError(f"{what} is {got!r}; expected a name. {remedy}")
    return got
