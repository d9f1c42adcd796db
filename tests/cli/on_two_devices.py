"""Run by test_cli_devices.py: a whole `kdk train`, then Python's API in the same process.

A process has its devices from its start, and starting takes seconds.

python on_two_devices.py RESULTS.json RUN OPTION...
"""

import contextlib
import json
import sys
from pathlib import Path

import kd_keras
from kd_keras.cli import kdk
from kd_keras.exports import process
from kd_keras.job import train
from kd_keras.job.recipe import recipe_files


class Lines(list):
    """A screen that stores its lines."""

    say = warn = result = list.append

    def detail(self, text):
        """Details are for --verbose."""

    def __bool__(self):
        return True  # also before the first line

    def table(self, title, columns, rows):
        self.append(title)

    def progress(self, what, total, unit="images"):
        from kd_keras.results.terminal.screen import Screen

        return Screen().progress(what, total, unit)


def run(finished, folder, **changes):
    """Results and lines of a run in `folder` of the recipe of a finished run, changed."""
    screen = Lines()
    exports = str(folder.parent / "exports")
    changed = recipe_files.resolve(finished, changes)
    results = kd_keras.run(changed, run=str(folder), export_dir=exports, screen=screen)
    return results, screen


def main():
    path, finished = map(Path, sys.argv[1:3])
    with process.fresh_process() as serve:
        train.fresh_process = lambda: contextlib.nullcontext(serve)
        kdk(["train", "--run", finished.name, *sys.argv[3:]], standalone_mode=False)
        path.write_text(json.dumps(by_the_api(finished)))


def by_the_api(finished):
    results, lines = run(finished, finished)
    try:
        run(finished, finished.parent / "none", batch_size=1)
        message = "nothing"
    except ValueError as error:
        message = str(error)
    trained, _ = run(
        finished,
        finished.parent / "several",
        teacher=str(finished / "teacher.keras"),
        student=["plain_cnn4", "plain_cnn4:width=0.5"],
        method=["kd", "dist"],
        each_method=False,
        timing=False,
    )
    return {"again": results, "lines": lines, "message": message, "several": trained}


if __name__ == "__main__":
    main()
