"""What a user reads who names a tap that does not exist: similar names, with their shapes."""

import difflib
from collections.abc import Iterable

import keras

from kd_keras.tensor_types import Shapes

_LOGITS = "logits"
_SIMILAR = 0.6  # difflib's ratio from which on two names count as similar


def message(model: keras.Model, tap: str, tap_shapes: Shapes, *, is_graph: bool) -> str:
    """The error message for a tap that does not exist; lists taps that do, with shapes.

    Args:
        model: the model.
        tap: the name that is not one of its taps.
        tap_shapes: shape of each tap by name.
        is_graph: whether the model's layers and connections are known, see `taps.is_graph`.
    """
    similar_taps = _similar_taps(tap, tap_shapes)
    which = "near ones" if similar_taps else "its last ones of each size"
    tap_list = ", ".join(
        f"{name} {tap_shapes[name]}" for name in similar_taps or _last_of_each_size(tap_shapes)
    )
    meaning = (
        "A tap is a layer's name, after the names of the nested models around it: "
        "backbone/block4_out."
        if is_graph
        else f"The taps of a {type(model).__name__} are the entries of the dict that its call() "
        "returns; it may return more."
    )
    return (
        f"model {model.name!r} has no tap {tap!r}; {which}, with their shapes: {tap_list}. Name "
        f"one of them in the method (its options with 'tap' in their names). {meaning}"
    )


def _similar_taps(tap: str, tap_names: Iterable[str]) -> list[str]:
    """Up to four names like `tap`, with or without the names of nested models, best first."""

    def likeness(name: str) -> float:
        ends = name.rpartition("/")[2], tap.rpartition("/")[2]
        pairs = (name, tap), ends
        return max(difflib.SequenceMatcher(None, *pair).ratio() for pair in pairs)

    similar_taps = [name for name in tap_names if likeness(name) >= _SIMILAR]
    return sorted(similar_taps, key=likeness, reverse=True)[:4]


def _last_of_each_size(tap_shapes: Shapes) -> list[str]:
    """The last tap of each height and width, and the last vector that is not the logits."""
    taps = {name: shape for name, shape in tap_shapes.items() if shape != tap_shapes[_LOGITS]}
    return list({shape[1:-1]: name for name, shape in taps.items()}.values())[-8:] or [_LOGITS]
