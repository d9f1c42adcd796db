"""Several faults of a dataset in one error message, so that a user can fix them at once."""

from collections.abc import Sequence

SHOWN = 10


def error(heading: str, faults: Sequence[str], remedy: str = "") -> ValueError:
    """A ValueError that names all faults; a single fault is shown without the heading.

    Args:
        heading: subject and verb, such as "PATH has faults".
        faults: at least one sentence; the first `SHOWN` are shown, the rest counted.
        remedy: what to do, one sentence; it ends the message.
    """
    if len(faults) == 1:
        return ValueError(f"{faults[0]} {remedy}".strip())
    lines = [f"{heading} ({len(faults)}):", *shortened(faults), remedy]
    return ValueError("\n".join(filter(None, lines)))


def shortened(items: Sequence[str], limit: int = SHOWN) -> list[str]:
    """The first items; if there are more, a last item says how many.

    Args:
        items: what is listed.
        limit: number of items that are shown, >= 1.
    """
    num_left_out = len(items) - limit
    return [*items[:limit], *([f"and {num_left_out:,} more"] if num_left_out > 0 else [])]


def number_of(noun: str, items: Sequence[object]) -> str:
    """The number of items with their noun: "1 file", "2 files".

    Args:
        noun: the noun in the singular; one that ends in "s" gets "es".
        items: what is counted.
    """
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{len(items):,} {noun if len(items) == 1 else plural}"
