"""Kills a real `kdk train` at random moments, starts it again, and compares the end.

The same command runs twice: once undisturbed, once killed N times (SIGKILL, SIGTERM and SIGINT in
turn) at moments drawn over the whole run. Weights, results, predictions, histories and
TensorBoard's curves of both must be equal to the bit, apart from times.

    python scripts/torture_resume.py --kills 50
    python scripts/torture_resume.py --kills 6 --recipe replicas --seed 1
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import click

COMMON = "--dataset digits --batch-size 64 --no-timing --checkpoint-minutes 0.02"
RECIPES = {
    "plain": "--teacher resnet8 --student resnet8 --method kd --baseline --epochs 3 "
    "--teacher-epochs 3 --schedule cosine --ema 0.9",
    "several": "--teacher resnet8 --student resnet8 --student shufflenetv2 --method kd "
    "--epochs 3 --teacher-epochs 1 --optimizer adamw --schedule one-cycle",
    "replicas": "--teacher resnet8 --student resnet8 --method crd --epochs 3 --teacher-epochs 2 "
    "--devices cpu:2",
    "cached": "--teacher resnet8 --student resnet8 --method dkd --views 2 --epochs 4 "
    "--teacher-epochs 1 --optimizer dot --learning-rate 0.05",
}
TIMES = {"seconds", "milliseconds_per_image", "training_seconds", "images_per_second", "path"}
LOG_TIMES = "speed/images_per_second"


@click.command()
@click.option("--kills", default=6, show_default=True, help="number of kills")
@click.option("--recipe", type=click.Choice([*RECIPES]), default="plain", show_default=True)
@click.option("--seed", default=0, show_default=True, help="seed of the moments")
@click.option("--output", type=Path, help="JSON file to write the counts to")
def main(kills: int, recipe: str, seed: int, output: Path | None) -> None:
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.environ["KD_KERAS_CACHE"] = str(folder / "cache")
        whole, killed = folder / "whole", folder / "killed"
        start = time.monotonic()
        if code := run(recipe, whole, None, None):
            sys.exit(f"the undisturbed run ended with code {code}")
        length = time.monotonic() - start
        print(f"undisturbed: {length:.0f} s", flush=True)
        deaths = []
        while len(deaths) < kills:
            number = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT][len(deaths) % 3]
            after = draw.uniform(0.5, 1.2 * length)
            code = run(recipe, killed, number, after)
            if code == 0:  # it had finished
                if differences := compare(whole, killed):
                    break
                remove_end(killed, draw)
                continue
            deaths.append({"signal": number.name, "code": code, "where": where(killed)})
            print(f"{len(deaths)}: {deaths[-1]}", flush=True)
        code = run(recipe, killed, None, None)
        differences = compare(whole, killed) if code == 0 else [f"it ended with code {code}"]
    print(f"{len(deaths)} kills, differences: {differences or 'none'}")
    if output:
        output.write_text(
            json.dumps({"recipe": recipe, "seed": seed, "kills": deaths, "differ": differences})
        )
    sys.exit(bool(differences))


def run(recipe: str, folder: Path, number: signal.Signals | None, after: float | None) -> int:
    """Runs the command, and sends it a signal after some seconds; gives its exit code."""
    words = f"train {COMMON} {RECIPES[recipe]} --run {folder}/run --export-dir {folder}/exports"
    with (folder.parent / "log.txt").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "kd_keras", *words.split()], stdout=log, stderr=log
        )
        try:
            return process.wait(after)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
            return process.wait()


def where(folder: Path) -> str:
    """What the run folder says of how far the run is."""
    headers = sorted((folder / "run" / "checkpoints").glob("step-*.json"))
    done = sorted(path.stem for path in (folder / "run").glob("*.keras"))
    at = "no checkpoint"
    if headers:
        try:
            header = json.loads(headers[-1].read_text())
            at = f"{'+'.join(header['models'])} epoch {header['epoch']} step {header['batch']}"
        except ValueError:
            at = f"{headers[-1].name} is half written"
    return f"finished: {', '.join(done) or 'nothing'}; {at}"


def remove_end(folder: Path, draw: random.Random) -> None:
    """Takes a phase's model away, so that a finished run has something to do again."""
    models = sorted((folder / "run").glob("*.keras"))
    draw.choice(models).unlink()
    (folder / "run" / "results.json").unlink()


def compare(one: Path, other: Path) -> list[str]:
    """What differs between two finished runs, apart from times and paths."""
    differences = []
    names = {path.name for folder in (one, other) for path in (folder / "run").glob("*.keras")}
    for name in sorted(names):
        weights = [weights_of(folder / "run" / name) for folder in (one, other)]
        if weights[0] != weights[1]:
            differences.append(f"{name}: weights")
    for name in ("results.json", *(f"{Path(name).stem}.json" for name in sorted(names))):
        values = [json.loads((folder / "run" / name).read_text()) for folder in (one, other)]
        if without_times(values[0]) != without_times(values[1]):
            differences.append(name)
    curves = [scalars(folder / "run" / "logs") for folder in (one, other)]
    if curves[0] != curves[1]:
        differences.append("TensorBoard's curves")
    return differences


def weights_of(path: Path) -> bytes:
    import h5py

    found = []

    def add(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found.append(item[()].tobytes())

    with (
        zipfile.ZipFile(path) as archive,
        archive.open("model.weights.h5") as file,
        h5py.File(file, "r") as weights,
    ):
        weights.visititems(add)
    return b"".join(found)


def without_times(value: object) -> object:
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in TIMES}
    return [without_times(v) for v in value] if isinstance(value, list) else value


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Steps and values of each curve; a step that was written twice appears twice."""
    from tensorboard.backend.event_processing import event_accumulator
    from tensorboard.util import tensor_util

    curves = {}
    for logs in sorted({path.parent for path in folder.rglob("events.*")}):
        events = event_accumulator.EventAccumulator(str(logs), {"tensors": 0})
        events.Reload()
        for tag in events.Tags()["tensors"]:
            if tag != LOG_TIMES and not tag.startswith("_hparams"):
                points = [(e.step, e.tensor_proto) for e in events.Tensors(tag)]
                values = [(s, tensor_util.make_ndarray(p).tobytes()) for s, p in points]
                curves[f"{logs.relative_to(folder)} {tag}"] = values
    return curves


if __name__ == "__main__":
    main()
