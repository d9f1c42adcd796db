"""Names in the logs: methods and compiled metrics must not take those of other numbers."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras

#: What the Distiller, Keras's callbacks and `kdk train` log.
RESERVED = ("ce", "loss", "agreement", "learning_rate", "images_per_second")
SHARE_SUFFIX = "_share"  # ends the name of a term's share of the loss
VALIDATION_PREFIX = "val_"  # begins the names of all logs of validation data


def is_derived(name: str) -> bool:
    """Whether a log is of validation data, or a term's share of the loss."""
    return name.startswith(VALIDATION_PREFIX) or name.endswith(SHARE_SUFFIX)


def require_method_names(names: Sequence[str]) -> None:
    """Raises ValueError if a method's loss would have the name of another number in the logs.

    Args:
        names: names of all methods of a training.
    """
    reserved_names = [name for name in names if name in RESERVED or is_derived(name)]
    if reserved_names or len(set(names)) < len(names):
        reserved = ", ".join(repr(name) for name in RESERVED)
        raise ValueError(
            f"methods are called {list(names)}; expected names that differ from each other "
            f"and from {reserved}, and that neither begin with {VALIDATION_PREFIX!r} nor end with "
            f"{SHARE_SUFFIX!r}. Give each a name=."
        )


def require_metric_names(compiled: Any, own: Iterable[keras.metrics.Metric]) -> None:
    """Raises ValueError if a compiled metric would replace a number that the Distiller logs.

    Args:
        compiled: what `compile` was given as metrics: names, functions or objects, in lists or
            dicts; None for none.
        own: the Distiller's own metrics.
    """
    clashes = sorted(set(_names(compiled)) & {metric.name for metric in own})
    if clashes:
        raise ValueError(
            f"metrics are called {clashes}; expected names that the Distiller does not log itself. "
            "Give each metric, or the method of that name, another name=."
        )


def _names(compiled: Any) -> Iterator[str]:
    """The names under which Keras logs compiled metrics."""
    for metric in keras.tree.flatten(compiled):
        name = getattr(metric, "name", None) or getattr(metric, "__name__", "")
        yield metric if isinstance(metric, str) else str(name)
