"""Shows that several replicas and several processes train the weights that one device trains.

Shows   for each method and setting, the largest difference of a weight after 20 steps between one
        CPU device and 2 or 4 replicas (`MirroredStrategy`) or 2 processes
        (`MultiWorkerMirroredStrategy` on loopback), divided by the largest weight. "Changed" is
        one device, with the student's first kernel times 1 + 1e-6 at the start; "moved" is how far
        the training moves a weight. The learning rate is the largest of 1e-2, 1e-3, ... at which
        "changed" is at most 1e-6: at larger ones the training itself amplifies rounding.
On      the tiny pair of tests/methods, 8x8 uint8 images of the pipeline, batches of 8, L2
        regularisers on the student, SGD with momentum. bfloat16 has the learning rates of plain,
        and is "changed" by the factor 1 + 2**-8.
Takes   about 20 seconds a method and setting on a free CPU core, most of them to trace the step in
        each place; with `--quick` a third of it. Started again, it goes on where it was stopped.
        Remove the folder of `--work` after a change of the code. Cells that are in the file of
        `--out` and are not run stay there.

    python scripts/replica_table.py            # writes docs/replicas.json and the table in its page
    python scripts/replica_table.py --quick    # every method, 4 steps, 2 replicas
    python scripts/replica_table.py --method kd --setting plain
"""

import gc
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import replica_page
import replica_training
from replica_page import CHANGED, LEARNING_RATE, MOVED
from replica_training import LIMIT, SETTINGS, STEPS, Reference

from kd_keras import files
from kd_keras.results.terminal.screen import Screen

RESULTS = Path("docs/replicas.json")
IN_FULL = [setting for setting in SETTINGS if setting != "eager"]
ONE = "1 device"
PLACES = {ONE: 1, "2 replicas": 2, "4 replicas": 4, "2 processes": 2}
QUICK = (ONE, "2 replicas")


@click.command(help=__doc__.splitlines()[0])
@click.option("--method", multiple=True, metavar="METHOD", help="by default, every method")
@click.option(
    "--setting", multiple=True, type=click.Choice(list(SETTINGS)), help="default: all but eager"
)
@click.option("--quick", is_flag=True, help="the setting eager, on 2 replicas")
@click.option("--out", default=str(RESULTS), show_default=True)
@click.option("--work", default=f"{tempfile.gettempdir()}/replica_table", help="weights go there")
@click.option("--place", hidden=True, help="train here")
def main(
    method: Sequence[str],
    setting: Sequence[str],
    quick: bool,
    out: str,
    work: str,
    place: str | None,
) -> None:
    from kd_keras import methods

    names, settings = (
        method or methods.names(),
        setting or (["eager"] if quick else IN_FULL),
    )
    if place:
        _train_all(names, settings, place, Path(work))
        return
    screen = Screen()
    options = [f"--work={work}", *(f"--method={n}" for n in names)]
    for one_setting in settings:
        _in_processes([*options, f"--setting={one_setting}"], QUICK if quick else [*PLACES], screen)
        results = _merged(_earlier(Path(out)), _compared(methods.names(), Path(work)))
        teachers = {name: replica_training.teacher_source(name) for name in results}
        facts = {"steps": STEPS, "settings": SETTINGS, "teachers": teachers}
        files.write_json(Path(out), {**facts, "methods": results})
        print(replica_page.table(results, teachers))
        if out == str(RESULTS):
            replica_page.write(results, teachers)
    worst = [
        f"{name}, {one_setting}, {where}: {value}"
        for name, row in results.items()
        for one_setting, cell in row.items()
        if one_setting in settings and one_setting != "bfloat16"
        for where, value in cell.items()
        if where in PLACES and not value <= LIMIT
    ]
    sys.exit("\n".join(["above 1e-6:", *worst]) if worst else 0)


def _in_processes(options: list[str], places: Sequence[str], screen: Screen) -> None:
    """Trains in one process for each place, two for "2 processes"."""
    for place in places:
        screen.say(f"{options[-1]}, {place}")
        command = [sys.executable, __file__, *options, f"--place={place}"]
        environments: list[dict[str, str]] = [{}]
        if place == "2 processes":
            workers = [f"127.0.0.1:{port}" for port in _free_ports(PLACES[place])]
            environments = [
                {"TF_CONFIG": json.dumps({"cluster": {"worker": workers}, "task": task})}
                for task in ({"type": "worker", "index": i} for i in range(PLACES[place]))
            ]
        running = [subprocess.Popen(command, env={**os.environ, **e}) for e in environments]
        codes = [process.wait() for process in running]
        if any(codes):
            screen.warn(f"{place} failed; what it trained is kept")


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _train_all(names: Sequence[str], settings: Sequence[str], place: str, work: Path) -> None:
    paths = [work / place / f"{setting}.{name}.npz" for setting in settings for name in names]
    if all(path.is_file() for path in paths):
        return  # without TensorFlow, whose import takes seconds
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    strategy = _strategy(place)
    keras.utils.disable_interactive_logging()
    chief = (
        "TF_CONFIG" not in os.environ or json.loads(os.environ["TF_CONFIG"])["task"]["index"] == 0
    )
    failed: list[str] = []
    for setting in settings:
        for name in names:
            path = work / place / f"{setting}.{name}.npz"
            if path.is_file():
                continue
            start = time.perf_counter()
            try:
                arrays = _trained(name, setting, place, strategy, work)
            except Exception:  # the others may still be trained
                traceback.print_exc()
                failed.append(name)
                continue
            finally:
                keras.backend.clear_session()
            gc.collect()
            if chief:
                path.parent.mkdir(parents=True, exist_ok=True)
                with files.atomic_write(path) as new_path, new_path.open("wb") as file:
                    np.savez(file, **arrays)
                print(
                    f"{place}, {setting}, {name}: {time.perf_counter() - start:.1f} s", flush=True
                )
    sys.exit(f"{place}: failed: {failed}" if failed else 0)


def _trained(
    name: str, setting: str, place: str, strategy: Any, work: Path
) -> dict[str, np.ndarray]:
    if place == ONE:
        rates: tuple[float, ...] = replica_training.LEARNING_RATES
        if setting == "bfloat16":
            rates = (_plain_rate(name, work),)
        result = replica_training.reference(name, setting, rates)
        numbers = {n: np.asarray(getattr(result, n)) for n in ("learning_rate", "moved")}
        return numbers | _named("after", result.after) | _named("changed", result.changed)
    rate = _reference(work / ONE / f"{setting}.{name}.npz").learning_rate
    return _named("after", replica_training.Training(name, setting, strategy, rate).weights())


def _plain_rate(name: str, work: Path) -> float:
    """The learning rate of the method in "plain": in `work`, or in an earlier call's results."""
    trained = work / ONE / f"plain.{name}.npz"
    if trained.is_file():
        return _reference(trained).learning_rate
    plain: dict[str, float] = _earlier(RESULTS)[name]["plain"]
    return plain.get(LEARNING_RATE, replica_training.LEARNING_RATES[0])


def _named(field: str, weights: replica_training.Weights) -> dict[str, np.ndarray]:
    return {f"{field}.{i}": array for i, array in enumerate(weights)}


def _reference(path: Path) -> Reference:
    """What one device trained.

    Raises:
        FileNotFoundError: it has not trained.
    """
    saved = np.load(path, allow_pickle=False)
    learning_rate, moved = float(saved["learning_rate"]), float(saved["moved"])
    return Reference(learning_rate, moved, _arrays(path, "after"), _arrays(path, "changed"))


def _arrays(path: Path, field: str) -> list[np.ndarray]:
    saved = np.load(path, allow_pickle=False)
    count = sum(key.startswith(f"{field}.") for key in saved)
    return [saved[f"{field}.{i}"] for i in range(count)]


def _strategy(place: str) -> Any:
    import tensorflow as tf

    from kd_keras.job.hardware import devices

    if place == "2 processes":
        return tf.distribute.MultiWorkerMirroredStrategy()
    count = PLACES[place]
    return devices.get(f"cpu:{count}") if count > 1 else tf.distribute.get_strategy()


def _compared(names: Sequence[str], work: Path) -> dict[str, Any]:
    """By method and setting: the largest relative difference for each place."""
    results = {
        name: {
            setting: cell
            for setting in SETTINGS
            if (cell := _cell(name, setting, work)) is not None
        }
        for name in names
    }
    return {name: row for name, row in results.items() if row}


def _earlier(out: Path) -> dict[str, Any]:
    """The results of an earlier call in the same file."""
    return json.loads(out.read_text())["methods"] if out.is_file() else {}


def _merged(earlier: dict[str, Any], results: dict[str, Any]) -> dict[str, Any]:
    """The cells of both, those of `results` before those of `earlier`; methods sorted by name."""
    names = sorted(earlier.keys() | results.keys())
    rows = {name: earlier.get(name, {}) | results.get(name, {}) for name in names}
    return {n: {s: row[s] for s in SETTINGS if s in row} for n, row in rows.items()}


def _cell(name: str, setting: str, work: Path) -> dict[str, float] | None:
    """The learning rate, and by place the largest difference; None if nothing is compared."""
    paths = {place: work / place / f"{setting}.{name}.npz" for place in PLACES}
    path = paths.pop(ONE)
    there = {place: other for place, other in paths.items() if other.is_file()}
    if not path.is_file() or not there:
        return None
    one = _reference(path)
    differences = {
        place: replica_training.difference(one.after, _arrays(other, "after"))
        for place, other in there.items()
    }
    return {
        LEARNING_RATE: one.learning_rate,
        MOVED: one.moved,
        CHANGED: replica_training.difference(one.after, one.changed),
        **differences,
    }


if __name__ == "__main__":
    main()
