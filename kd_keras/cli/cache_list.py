"""`kdk cache --list` and `--prune`: lists the cache folder and removes stale entries."""

import sys

import click

from kd_keras import data
from kd_keras.cli import output
from kd_keras.job.cache import cache_folder
from kd_keras.results.terminal import paths


def run(*, prune: bool, older_than: float | None, yes: bool) -> None:
    """Lists the cache folder; with prune, removes removable entries after a confirmation."""
    screen = output.screen()
    entries = cache_folder.entries()
    folder = f"{paths.short_path(data.cache_folder())} ({_size(entries)})"
    if not prune:
        cache_folder.show(entries, screen, title=f"Cache folder {folder}")
        output.document({"folder": data.cache_folder(), "entries": cache_folder.as_json(entries)})
        return
    removable_entries = cache_folder.removable(entries, older_than=older_than)
    if not removable_entries:
        screen.result(f"nothing to remove in {folder}: `kdk cache --list` shows what is there")
    else:
        cache_folder.show(removable_entries, screen, title=f"To be removed from {folder}")
    removed_entries = (
        cache_folder.prune(removable_entries) if removable_entries and _has_consent(yes) else []
    )
    if removable_entries:
        screen.result(
            f"removed {len(removed_entries)} of {len(removable_entries)} ({_size(removed_entries)})"
        )
    output.document(
        {"folder": data.cache_folder(), "removed": cache_folder.as_json(removed_entries)}
    )


def _has_consent(yes: bool) -> bool:
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
