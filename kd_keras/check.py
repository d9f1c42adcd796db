"""Argument checks. A message says what was given, what is allowed, and what to do."""

import difflib
import functools
import inspect
import math
import numbers
from collections.abc import Iterable
from typing import Any, TypeVar

Class = TypeVar("Class")

#: Numbers of methods and training beyond these overflow or vanish in float32 once they are squared.
SMALLEST, LARGEST = 1e-9, 1e9
LARGEST_WHOLE = 2**63 - 1  # of 64 bits


def one_of(what: str, value: Any, allowed: Iterable[Any], *, remedy: str = "") -> Any:
    """Returns `value` if it is allowed; otherwise raises ValueError that names the nearest one.

    Args:
        what: the argument or option, as the message names it.
        value: the value to check, of any type.
        allowed: the allowed values, all of which have a hash.
        remedy: what to do, a sentence for the end of the message.
    """
    allowed = list(allowed)
    if _has_hash(value) and value in allowed:  # an array is neither equal to a value nor different
        return value
    close_matches = difflib.get_close_matches(str(value), [str(a) for a in allowed], n=1)
    names = ", ".join(sorted(str(a) for a in allowed))
    hint = f"Did you mean {close_matches[0]!r}?" if close_matches else ""
    raise ValueError(_message(what, value, f"one of: {names}", hint, remedy))


def number(
    what: str,
    value: Any,
    *,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    remedy: str = "",
) -> float:
    """Returns `value` as a float if it is finite and within bounds; otherwise raises ValueError.

    Numbers that float32 could not square are refused too: beyond ±`LARGEST`, and with `above`, less
    than `SMALLEST` above it.

    Args:
        what: the argument or option, as the message names it.
        value: the value to check; booleans are refused.
        above: exclusive lower bound; None: no bound.
        at_least: lower bound; None: no bound.
        at_most: upper bound; None: no bound.
        remedy: what to do, a sentence for the end of the message.
    """
    bounds = [
        f"> {above:g}" if above is not None else "",
        f">= {at_least:g}" if at_least is not None else "",
        f"<= {at_most:g}" if at_most is not None else "",
    ]
    expected = f"a finite number {' and '.join(filter(None, bounds))}".rstrip()
    is_valid = isinstance(value, numbers.Real) and not isinstance(value, bool)
    is_valid = is_valid and (isinstance(value, numbers.Integral) or math.isfinite(value))
    if is_valid and abs(value) > LARGEST:
        is_valid, expected = False, f"{expected}, from {-LARGEST:g} to {LARGEST:g}"
    elif is_valid and above is not None and above < value < above + SMALLEST:
        is_valid, expected = False, f"{expected}, by {SMALLEST:g} or more"
    is_valid = is_valid and (above is None or value > above)
    is_valid = is_valid and (at_least is None or value >= at_least)
    is_valid = is_valid and (at_most is None or value <= at_most)
    if not is_valid:
        raise ValueError(_message(what, value, expected, remedy))
    return float(value)


def whole_number(
    what: str, value: Any, *, at_least: int = 0, at_most: int = LARGEST_WHOLE, remedy: str = ""
) -> int:
    """Returns `value` as an int if it is whole and within bounds; otherwise raises ValueError.

    Args:
        what: the argument or option, as the message names it.
        value: the value to check; booleans are refused.
        at_least: lower bound.
        at_most: upper bound, at most 64 bits.
        remedy: what to do, a sentence for the end of the message.
    """
    is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_whole or not at_least <= value <= at_most:
        upper_bound = f" and <= {at_most}" if at_most != LARGEST_WHOLE else ""
        raise ValueError(
            _message(what, value, f"a whole number >= {at_least}{upper_bound}", remedy)
        )
    return int(value)


def text(what: str, value: Any, *, remedy: str = "") -> str:
    """Returns `value` if it is a string and not empty; otherwise raises ValueError."""
    if not isinstance(value, str) or not value:
        raise ValueError(_message(what, value, "a name", remedy))
    return value


def naming_errors(cls: type[Class]) -> type[Class]:
    """The class, of whose constructor all ValueErrors begin with the object's name, as "kd: ".

    Args:
        cls: a class of objects with a `name`. Its own constructor is changed, if it has one. An
            error before an object has its name begins with that of the class's file.
    """
    constructor = vars(cls).get("__init__")
    if constructor is None:
        return cls

    @functools.wraps(constructor)
    def construct(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            constructor(self, *args, **kwargs)
        except ValueError as error:
            file_name = type(self).__module__.rpartition(".")[2]
            start = f"{getattr(self, 'name', None) or file_name}: "
            if type(error) is ValueError and not str(error).startswith(start):
                error.args = (f"{start}{error}",)
            raise

    # Keras compares the arguments with what `inspect.getfullargspec` says, which unwraps nothing.
    construct.__signature__ = inspect.signature(constructor)  # type: ignore[attr-defined]
    cls.__init__ = construct  # type: ignore[method-assign]
    return cls


def fault(error: Exception) -> str:
    """What an error says about a file's contents, to stand in brackets in another message."""
    if isinstance(error, KeyError):
        return f"it has no {error.args[0]!r}"
    if isinstance(error, (TypeError, AttributeError)):
        return "an entry has another type"
    return str(error)


def _message(what: str, value: Any, expected: str, *remedies: str) -> str:
    """The three parts of a message; without a remedy, what is expected says what to do."""
    return " ".join([f"{what} is {_shown(value)}; expected {expected}.", *filter(None, remedies)])


def _has_hash(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _shown(value: Any) -> str:
    """The value as code; of an array its shape; of a whole number over 64 bits, how large it is."""
    if getattr(value, "shape", None) and hasattr(value, "dtype"):
        return f"an array of shape {tuple(value.shape)}"
    if not isinstance(value, int) or abs(value) <= 2 * LARGEST_WHOLE:
        return repr(value)
    sign = "-" if value < 0 else ""
    return f"about {sign}1e{math.log10(abs(value)):.0f}"
