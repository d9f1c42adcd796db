"""Several faults of a data set in one message, so that they can be mended in one go."""

from collections.abc import Sequence

SHOWN = 10


def error(what: str, faults: Sequence[str], remedy: str = "") -> ValueError:
    """A ValueError of all faults; a single one is told without `what`.

    Args:
        what: the subject and verb of the heading, such as "PATH has faults".
        faults: at least one sentence; the first `SHOWN` are shown, the rest counted.
        remedy: what to do, a sentence at the end.
    """
    if len(faults) == 1:
        return ValueError(f"{faults[0]} {remedy}".strip())
    lines = [f"{what} ({len(faults)}):", *shortened(faults), remedy]
    return ValueError("\n".join(filter(None, lines)))


def shortened(items: Sequence[str], shown: int = SHOWN) -> list[str]:
    """The first items, and where there are more, a last line with their number."""
    more = len(items) - shown
    return [*items[:shown], *([f"and {more:,} more"] if more > 0 else [])]
