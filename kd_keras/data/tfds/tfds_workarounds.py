"""Workarounds for what TensorFlow Datasets has no option for.

All of them are needed by tensorflow-datasets 4.9.9 and 4.9.10, the versions that setup.cfg allows.
When that bound is raised, `tests/data/tfds/test_tfds_workarounds.py` shows which still apply.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import downloader

# Ten retries wait nine times, 0.4 s and then twice as long each: 204 s in all without a network.
_TRIES = 4

#: 4.9 raises a bare AssertionError for a version that a builder does not have, and for a dataset
#: whose files must be downloaded by hand.
UnknownVersion = AssertionError
FilesMissing = AssertionError


@contextlib.contextmanager
def few_tries() -> Iterator[None]:
    """Downloads are tried 4 times. In 4.9 the number of tries is a module constant."""
    tries, downloader.MAX_RETRIES = downloader.MAX_RETRIES, _TRIES
    try:
        yield
    finally:
        downloader.MAX_RETRIES = tries


@contextlib.contextmanager
def quiet(builder: Any, *, show_bars: bool) -> Iterator[None]:
    """The builder prints nothing; with `show_bars` it shows its progress bars.

    In 4.9 two methods print without a condition, and bars are switched for the whole process.
    """
    builder._log_download_bytes = builder._log_download_done = lambda: None
    if not show_bars:
        tfds.disable_progress_bar()
    try:
        yield
    finally:
        tfds.enable_progress_bar()
