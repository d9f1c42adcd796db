"""Runs `kdk` in a forked process, which ends with its exit code."""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

CRASHED = 98  # exit code of a command that ends with an exception


def run_and_exit(
    kdk: Any, words: Sequence[str], prepare: Callable[[], None] = lambda: None
) -> NoReturn:
    """Runs a command in this process, a fork, and ends the process.

    Args:
        kdk: the click group.
        words: of the command line, without "kdk".
        prepare: is called first.
    """
    code = CRASHED
    try:
        prepare()
        kdk.main(list(words), prog_name="kdk")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
