"""What one waits for: the command line's help, the import, the first step of a training.

Shows   median seconds of the commands that train nothing, in turns, beside the floor, importing
        Keras and TensorFlow; and of `kdk train`, with its data prepared, the seconds from the
        command to the first training step that is done, as its bar on a terminal tells it (drawn
        ten times a second), and to the first epoch's line, with those of all lines before it.
On      the digits of the quickstart recipe; Tiny ImageNet with --data-dir: the default recipe,
        which trains its teacher first, and a teacher from a file (random weights).
Takes   about ten minutes on two idle CPU cores, fifteen with --data-dir.

    python scripts/bench_start.py --data-dir DIR
"""

import os
import pty
import re
import selectors
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import bench_jobs  # beside this file
import click

from kd_keras import files
from kd_keras.results.terminal.screen import Screen

TEACHER = "resnet18:stem_stride=2"
FLOOR = 'python -c "import keras, tensorflow"'
COMMANDS = {
    "kdk --help": [*bench_jobs.KDK, "--help"],
    "kdk train --help": [*bench_jobs.KDK, "train", "--help"],
    "kdk list": [*bench_jobs.KDK, "list"],
    'python -c "import kd_keras"': [sys.executable, "-c", "import kd_keras"],
    FLOOR: [sys.executable, "-c", "import keras, tensorflow"],
}
# The bar of a first epoch with its count, once it is not 0, and the line after it.
FIRST_STEP = re.compile(rb"epoch 1/\d+  +[1-9][\d,]*/")
FIRST_EPOCH = re.compile(r"epoch 1/\d+: loss")
STEP, EPOCH = "first step", "first epoch"
QUICKSTART = "quickstart, trains its teacher"


@click.command(help=__doc__.splitlines()[0])
@click.option("--data-dir", help="what kdk train --data-dir takes, for Tiny ImageNet too")
@click.option("--repeats", default=5, show_default=True, help="of each; medians are shown")
@click.option("--work", default="runs/bench_start", show_default=True, help="for stores and runs")
@click.option("--out", default="docs/bench_start.json", show_default=True)
def main(data_dir: str | None, repeats: int, work: str, out: str) -> None:
    screen, folder = Screen(), Path(work).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    env = bench_jobs.environment(folder, folder / "cache")
    commands = commands_in_turns(folder, repeats, env)
    rows = [[k, f"{statistics.median(v):.2f}", f"{max(v):.2f}"] for k, v in commands.items()]
    screen.table(f"Seconds, {repeats} runs each", ["command", "median", "slowest"], rows)
    starts = {}
    for name, options in trainings(data_dir, folder, env).items():
        run = folder / "run"
        command = [*bench_jobs.KDK, "train", *options, "--run", str(run), "--export-dir", str(run)]
        starts[name] = training_starts(command, run, repeats, env, short=name == QUICKSTART)
    rows = [
        [name, *(f"{record[at]:.1f}" for at in (STEP, EPOCH))] for name, record in starts.items()
    ]
    screen.table("Seconds from `kdk train` on", ["training", STEP, EPOCH], rows)
    record = {"machine": bench_jobs.machine(), "commands": commands, "trainings": starts}
    files.write_json(Path(out), record)


def commands_in_turns(folder: Path, repeats: int, env: dict[str, str]) -> dict[str, list[float]]:
    """Seconds of each command's runs, after one that does not count."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(1 + repeats):
        for name, command in COMMANDS.items():
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True, env=env, cwd=folder)
            times[name].append(time.perf_counter() - started)
    return {name: seconds[1:] for name, seconds in times.items()}


def trainings(data_dir: str | None, folder: Path, env: dict[str, str]) -> dict[str, list[str]]:
    """The options of `kdk train` by what is shown."""
    digits = {QUICKSTART: ["--recipe", "quickstart"]}
    if data_dir is None:
        return digits
    teacher, data = folder / "teacher.keras", ["--data-dir", str(Path(data_dir).resolve())]
    bench_jobs.make_model(TEACHER, teacher, env)
    ready = ["--teacher", str(teacher), "--allow-weak-teacher"]
    return {
        **digits,
        "tiny_imagenet, trains its teacher": data,
        "tiny_imagenet, teacher from a file": [*data, *ready],
    }


def training_starts(
    command: list[str], run: Path, repeats: int, env: dict[str, str], *, short: bool
) -> dict[str, Any]:
    """Median seconds to the first step and the first epoch's line; of long epochs, one is seen."""
    starts = []
    for turn in range(1 + repeats):
        last = EPOCH if short or turn == repeats else STEP
        starts.append(until(last, command, run, env))
    starts = starts[1:]  # the first prepares the data
    medians = {at: statistics.median([s[at] for s in starts if at in s]) for at in (STEP, EPOCH)}
    return {**medians, "runs": starts}


def until(last: str, command: list[str], run: Path, env: dict[str, str]) -> dict[str, Any]:
    """Runs a training until its first step or epoch is done; seconds to each, and of each line."""
    shutil.rmtree(run, ignore_errors=True)
    screen, terminal = pty.openpty()
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=terminal,
        env=env | {"COLUMNS": "200", "TERM": "xterm"},
        cwd=run.parent,
    )
    os.close(terminal)
    assert process.stdout is not None
    events: dict[str, Any] = {"lines": []}
    terminal_output = b""
    with selectors.DefaultSelector() as ready, process.stdout:
        ready.register(process.stdout, selectors.EVENT_READ)
        ready.register(screen, selectors.EVENT_READ)
        while last not in events:
            for key, _ in ready.select():
                text = _read(key.fd)
                seconds = round(time.perf_counter() - started, 2)
                if not text:
                    raise click.ClickException(f"{command} ended: {terminal_output[-2000:]!r}")
                if key.fd == screen:
                    terminal_output = terminal_output[-4000:] + text
                    if STEP not in events and FIRST_STEP.search(terminal_output):
                        events[STEP] = seconds
                    continue
                text_without_paths = text.decode().replace(str(run.parent), "WORK")
                events["lines"] += [
                    (seconds, line) for line in text_without_paths.splitlines() if line
                ]
                if FIRST_EPOCH.search(text.decode()):
                    events[EPOCH] = seconds
        process.kill()
    process.wait()
    os.close(screen)
    return events


def _read(file: int) -> bytes:
    try:
        return os.read(file, 65536)
    except OSError:  # a terminal whose program has ended
        return b""


if __name__ == "__main__":
    main()
