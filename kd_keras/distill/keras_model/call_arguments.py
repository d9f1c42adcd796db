"""The arguments of a call, by name however they were given."""

import inspect
from collections.abc import Callable
from typing import Any


def by_name(
    method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """The arguments that a call gives, all by name; defaults are left out.

    Args:
        method: the method of a class whose signature counts, such as `keras.Model.fit`.
        args: by position, without `self`.
        kwargs: by name.

    Raises:
        TypeError: the method does not take such arguments.
    """
    bound = inspect.signature(method).bind(None, *args, **kwargs).arguments
    return {name: value for name, value in bound.items() if name not in ("self", "kwargs")} | (
        bound.get("kwargs") or {}
    )
