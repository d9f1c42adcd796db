"""What a cache holds of a teacher's outputs, and how it is made."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class CacheOptions:
    """The options of `kdk cache` that no recipe has.

    Attributes:
        folder: the cache's folder; None takes the one where runs look for it.
        taps: names of the teacher's features to cache beside its logits; "output" alone caches
            what a teacher without classes gives, under the name "pooled".
        top_k: number of largest logits to keep for each view; None keeps all.
        dtype: dtype of the cached outputs, "float16" or "float32".
        shard: (i, n), which of n parts to make; None makes all, and of several processes that
            TF_CONFIG names, each one its part.
        verify: whether the data's contents are checked, and a sample of a finished cache is
            computed again.
    """

    folder: Path | None = None
    taps: Sequence[str] = ()
    top_k: int | None = None
    dtype: str = "float16"
    shard: tuple[int, int] | None = None
    verify: bool = False
