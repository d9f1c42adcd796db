"""Whether a training step became slower: two revisions of this project, in turns in one run.

Shows   images a second of each step of scripts/bench_step.py (without Keras's own distillation and
        PyTorch) with the other revision and with this one, medians over rounds in which both take
        their turn, and their ratio.
On      random images in batches of 128, the first pair of scripts/bench_step.py. Each revision
        runs in a process of its own, which waits while the other one runs.
Takes   about five minutes on two idle CPU cores with AMX, three times as long without.

    git worktree add ../other REVISION
    python scripts/compare_revisions.py ../other --out docs/compare_revisions.json
"""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import click

HERE = Path(__file__).resolve().parent.parent
PAIR, WARM, STEPS, BATCH = "narrow", 3, 8, 128
NAMES = ("student alone", "student alone, float32", "cached", "online", "online, float32")


@click.command(help=__doc__.splitlines()[0])
@click.argument("other", type=click.Path(exists=True, file_okay=False))
@click.option("--rounds", default=15, show_default=True, type=click.IntRange(min=2))
@click.option("--out", default=None, help="JSON file for the figures")
def main(other: str, rounds: int, out: str | None) -> None:
    workers = {"other": worker(Path(other).resolve()), "this": worker(HERE)}
    seconds: dict[str, dict[str, list[float]]] = {name: {"other": [], "this": []} for name in NAMES}
    for round_number in range(rounds):
        order = list(workers) if round_number % 2 else list(reversed(workers))
        for name in NAMES:
            for revision in order:
                seconds[name][revision].append(ask(workers[revision], name))
        click.echo(f"round {round_number + 1} of {rounds}", err=True)
    for process in workers.values():
        process.stdin.close()
        process.wait()
    table = {name: figures(values) for name, values in seconds.items()}
    for name, row in table.items():
        click.echo(
            f"{name:24} other {row['other']:6.0f}  this {row['this']:6.0f} images/s  "
            f"ratio {row['ratio']:.3f} (quartiles {row['quartiles'][0]:.3f} to "
            f"{row['quartiles'][1]:.3f})"
        )
    if out:
        import bench_jobs  # beside this file

        about = {"machine": bench_jobs.machine(), "rounds": rounds, "steps": STEPS}
        Path(out).write_text(json.dumps({**about, "images per second": table}, indent=1) + "\n")


def figures(values: dict[str, list[float]]) -> dict:
    """Medians of images a second, and the median and quartiles of the rounds' ratios."""
    ratios = [o / t for o, t in zip(values["other"], values["this"], strict=True)]
    first, middle, third = statistics.quantiles(ratios, n=4)
    medians = {revision: BATCH / statistics.median(spent) for revision, spent in values.items()}
    return {**medians, "ratio": middle, "quartiles": [first, third]}


def worker(root: Path) -> subprocess.Popen:
    """A process that has built the steps of the revision in `root` and waits for names."""
    command = [sys.executable, str(Path(__file__).resolve()), "--worker", str(root)]
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'scripts'}"}
    process = subprocess.Popen(
        command, cwd=root, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    while (line := process.stdout.readline()) != "ready\n":
        if not line:
            raise SystemExit(f"The worker in {root} ended early.")
    return process


def ask(process: subprocess.Popen, name: str) -> float:
    """Seconds a step, over `STEPS` steps of the kind `name`."""
    process.stdin.write(name + "\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def serve() -> None:
    """Runs steps by name, one line of input and output each, until the input ends."""
    sys.path.pop(0)  # the folder of this file
    import bench_step  # of the revision that PYTHONPATH names

    student, teacher, size = bench_step.PAIRS[PAIR]
    steps = {k: v for k, v in bench_step.keras_steps(student, teacher, size).items() if k in NAMES}
    for step in steps.values():
        for _ in range(WARM):
            step()
    print("ready", flush=True)
    for line in sys.stdin:
        step = steps[line.strip()]
        started = time.perf_counter()
        for _ in range(STEPS):
            step()
        print((time.perf_counter() - started) / STEPS, flush=True)


if __name__ == "__main__":
    serve() if sys.argv[1:2] == ["--worker"] else main()
