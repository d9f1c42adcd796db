"""Wraps lines at words in a terminal; in a file or a pipe they stay whole."""

import shutil
import textwrap
from typing import TextIO


def wrapped(text: str, stream: TextIO, *, indent: str = "") -> str:
    """The text wrapped to the terminal's width, with paths in one piece; else unchanged.

    Args:
        text: lines. Those that start with two spaces are commands, to be copied whole.
        stream: where it will be printed; only a terminal has a width.
        indent: what the lines begin with after the first.
    """
    if not stream.isatty():
        return text
    wrapper = textwrap.TextWrapper(
        shutil.get_terminal_size().columns,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    lines = text.splitlines()
    return "\n".join(line if line.startswith("  ") else wrapper.fill(line) for line in lines)
