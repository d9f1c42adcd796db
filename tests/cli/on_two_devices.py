"""Run by test_cli_devices.py after a whole `kdk train`: more of the same devices, by Python's API.

python on_two_devices.py RESULTS.json RUN
"""

import json
import sys
from pathlib import Path

import kd_keras
from kd_keras.job.recipe import recipe_files


class Lines(list):
    """A screen that keeps what it is told."""

    say = warn = result = list.append

    def detail(self, text):
        """Details are for --verbose."""

    def __bool__(self):
        return True  # also before the first line

    def table(self, title, columns, rows):
        self.append(title)

    def progress(self, what, total, unit="images"):
        from kd_keras.results.screen import Screen

        return Screen().progress(what, total, unit)


def run(finished, folder, **changes):
    """Results and lines of a run in `folder` of the recipe of a finished run, changed."""
    screen = Lines()
    exports = str(folder.parent / "exports")
    changed = recipe_files.resolve(finished, changes)
    results = kd_keras.run(changed, run=str(folder), export_dir=exports, screen=screen)
    return results, screen


def main():
    path, finished = map(Path, sys.argv[1:])
    results, lines = run(finished, finished)
    try:
        run(finished, finished.parent / "none", batch_size=1)
        message = "nothing"
    except ValueError as error:
        message = str(error)
    student = recipe_files.load(finished).student[0]
    trained, _ = run(
        finished,
        finished.parent / "several",
        teacher=str(finished / "teacher.keras"),
        student=[student, student],
        method=["kd", "dist"],
        each_method=False,
    )
    told = {"again": results, "lines": lines, "message": message, "several": trained}
    path.write_text(json.dumps(told))


if __name__ == "__main__":
    main()
