"""`kdk cache --list` and `--prune`: lists the cache folder and removes stale entries."""

import sys

import click

from kd_keras import data
from kd_keras.cli import output
from kd_keras.job.cache import cache_folder
from kd_keras.results.terminal import paths


def run(*, prune: bool, older_than: float | None, yes: bool) -> None:
    """Lists the cache folder; with prune, shows the removable entries, asks, and removes them."""
    screen = output.screen()
    entries = cache_folder.entries()
    place = f"{paths.short_path(data.cache_folder())} ({_size(entries)})"
    if not prune:
        cache_folder.show(entries, screen, title=f"Cache folder {place}")
        output.document({"folder": data.cache_folder(), "entries": cache_folder.as_json(entries)})
        return
    chosen = cache_folder.removable(entries, older_than=older_than)
    if not chosen:
        screen.result(f"nothing to remove in {place}: `kdk cache --list` shows what is there")
    else:
        cache_folder.show(chosen, screen, title=f"To be removed from {place}")
    gone = cache_folder.prune(chosen) if chosen and _agreed(yes) else []
    if chosen:
        screen.result(f"removed {len(gone)} of {len(chosen)} ({_size(gone)})")
    output.document({"folder": data.cache_folder(), "removed": cache_folder.as_json(gone)})


def _agreed(yes: bool) -> bool:
    if yes:
        return True
    if not sys.stdin.isatty():
        raise ValueError(
            "there is no terminal to ask in whether to remove the entries; expected a "
            "confirmation. Give --yes."
        )
    return click.confirm("Remove this?", err=True)


def _size(entries: list[cache_folder.Entry]) -> str:
    return paths.megabytes(sum(entry.bytes for entry in entries))
