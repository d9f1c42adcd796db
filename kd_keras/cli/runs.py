"""`kdk runs`: lists the run folders, one line each."""

import shutil
import sys
from pathlib import Path

import click

from kd_keras.cli import errors, output
from kd_keras.job.recipe import recipe_files

_UNBOUNDED = 10_000


@click.command("runs")
@click.argument("folders", metavar="[FOLDER]...", nargs=-1, type=click.Path(path_type=Path))
@output.command
def command(folders: tuple[Path, ...]) -> None:
    """List runs: what each trained, its top-1 accuracy, and what distillation gained.

    FOLDER is a run folder or a folder that holds run folders; without one, it is ./runs. A run that
    is not finished is shown with where it stopped and the command that continues it. A run whose
    files cannot be read is named; the exit code is 1 then.
    """
    from kd_keras.job.run_folders import runs

    screen = output.screen()
    if not folders and not recipe_files.RUNS.is_dir():
        screen.result(
            f"no runs here: there is no folder {recipe_files.RUNS}. `kdk train` makes it."
        )
        output.document([])
        return
    entries = runs.runs(folders or (recipe_files.RUNS,))
    if not entries:
        screen.result("no runs in " + ", ".join(map(str, folders or (recipe_files.RUNS,))))
    runs.show(entries, screen, width=_width())
    output.document(entries)
    if any(entry["state"] == runs.BROKEN for entry in entries):
        click.get_current_context().exit(errors.PARTLY_DONE)


def _width() -> int:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _UNBOUNDED
