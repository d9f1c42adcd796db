"""How long work tells of itself: `progress(what, total)` gives `advance(n)`, called as it goes."""

import contextlib
from collections.abc import Callable, Iterator

Advance = Callable[[int], None]
Progress = Callable[[str, int], contextlib.AbstractContextManager[Advance]]


@contextlib.contextmanager
def silent(what: str, total: int) -> Iterator[Advance]:
    """The progress that shows nothing."""
    yield lambda count: None
