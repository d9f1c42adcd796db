"""Progress of long work: `progress(task, total)` is a context that gives `advance(count)`."""

import contextlib
from collections.abc import Callable, Iterator

Advance = Callable[[int], None]
Progress = Callable[[str, int], contextlib.AbstractContextManager[Advance]]


@contextlib.contextmanager
def silent(task: str, total: int) -> Iterator[Advance]:
    """A progress that shows nothing."""
    yield lambda num_done: None
