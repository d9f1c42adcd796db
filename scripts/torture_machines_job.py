"""Kills one of two machines in the middle of `kdk train`, starts both again, compares the ends.

Shows   how each process ended after the kill of the other one, and after how many seconds; whether
        models, results, predictions and TensorBoard's curves of the continued run equal those of
        an undisturbed one, to the bit, apart from times.
On      `kdk train` on digits with a teacher, the student alone and `kd`, in two processes with a
        `TF_CONFIG` on this machine. Kills come a moment after a checkpoint, in turn of the first
        process, which writes, and of the second one.
Takes   about seven minutes on two CPU cores for four kills.

    python scripts/torture_machines_job.py --kills 2
    python scripts/torture_machines_job.py --kills 4 --output docs/torture_machines.json
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
from torture_machines import free_ports  # beside this file
from torture_resume import COMMON, STUDENT, Kill, compare, has_come, processor, where

OPTIONS = f"{STUDENT} --method kd --baseline --epochs 12 --teacher-epochs 12 --devices cpu:1"
LIMIT = 120  # seconds that a process may go on without the other


@click.command(help=__doc__.splitlines()[0])
@click.option("--kills", default=2, show_default=True)
@click.option("--seed", default=0, show_default=True, help="seed of the moments")
@click.option("--output", type=Path, help="JSON file to write the kills and differences to")
def main(kills: int, seed: int, output: Path | None) -> None:
    draw = random.Random(seed)
    moments = []
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["KD_KERAS_CACHE"] = f"{scratch}/cache"
        uninterrupted, killed = Path(scratch, "whole"), Path(scratch, "killed")
        finish(uninterrupted)
        for number in range(kills):
            victim = number % 2
            seconds, code, message = kill_one(killed, victim, draw)
            names = ("first", "second")
            print(
                f"{names[victim]} process killed; the {names[1 - victim]} one ended after "
                f"{seconds:.0f} s with code {code}: {message}",
                flush=True,
            )
            death = {"killed": names[victim], "where": where(killed), "seconds": round(seconds)}
            moments.append({**death, "code": code, "message": message})
        finish(killed)
        differences = compare(uninterrupted, killed)
    print(f"{kills} kills, differences: {differences or 'none'}")
    if output:
        about = {"processor": processor(), "cores": os.cpu_count(), "seed": seed}
        outcome = about | {"kills": kills, "differences": differences, "moments": moments}
        output.write_text(json.dumps(outcome, indent=2) + "\n")
    sys.exit(bool(differences))


def finish(folder: Path) -> None:
    """Runs the command on both machines to its end."""
    processes = start(folder)
    codes = [process.wait() for process in processes]
    if any(codes):
        sys.exit(f"ended with codes {codes}:\n{log_of(folder, 0)}\n{log_of(folder, 1)}")


def kill_one(folder: Path, victim: int, draw: random.Random) -> tuple[float, int, str]:
    """Seconds until the other process ended, its exit code, and its last line."""
    processes = start(folder)
    moment = Kill(signal.SIGKILL, draw.uniform(0, 0.3), draw.randint(1, 9))
    if not has_come(moment, processes[victim], folder / "run" / "checkpoints"):
        sys.exit(f"ended before the kill:\n{log_of(folder, victim)}")
    processes[victim].kill()
    start_time = time.monotonic()
    code = processes[1 - victim].wait(LIMIT)
    return time.monotonic() - start_time, code, log_of(folder, 1 - victim).splitlines()[-1]


def start(folder: Path) -> list[subprocess.Popen]:
    """The command in one process for each machine; each writes its screen to a file."""
    folder.mkdir(exist_ok=True)
    words = f"train {COMMON} {OPTIONS} --run {folder}/run --export-dir {folder}/exports".split()
    workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
    processes = []
    for index in range(2):
        task = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        environment = {**os.environ, "TF_CONFIG": json.dumps(task)}
        with log_file(folder, index).open("w") as log:
            command = [sys.executable, "-m", "kd_keras", *words]
            processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
    return processes


def log_file(folder: Path, index: int) -> Path:
    return folder / f"screen-{index}.txt"


def log_of(folder: Path, index: int) -> str:
    return log_file(folder, index).read_text().strip()


if __name__ == "__main__":
    main()
