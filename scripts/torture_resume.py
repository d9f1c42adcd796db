"""Kills a real `kdk train` at random moments, starts it again, and compares the end.

The same command runs twice: once undisturbed, once killed N times (SIGKILL, SIGTERM and SIGINT in
turn). Every second kill comes at a moment drawn over the whole run, the others a moment after a
checkpoint, while a model is trained. Weights, results, predictions, histories and TensorBoard's
curves of both must be equal to the bit, apart from times and from the size of the SavedModel, in
which TensorFlow numbers the functions of a process. Recipes that are in the file of `--output` and
are not run stay there.

    python scripts/torture_resume.py --kills 6
    python scripts/torture_resume.py --kills 8 --recipe plain --recipe replicas --seed 1
    python scripts/torture_resume.py --kills 8 --recipe all --output docs/torture_resume.json
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

COMMON = (
    "--dataset digits --batch-size 256 --no-timing --checkpoint-minutes 0.001 --allow-weak-teacher "
    "--teacher plain_cnn4:width=0.5 --set precision=float32"
)
STUDENT = "--student resnet8:width=0.25"
RECIPES = {
    "alone": f"{STUDENT} --method none --epochs 6",  # the cheapest
    "plain": f"{STUDENT} --method kd --baseline --epochs 6 --teacher-epochs 6 --schedule cosine "
    "--ema 0.9",
    "several": f"{STUDENT} --student plain_cnn4:width=0.5 --method vid --epochs 6 "
    "--teacher-epochs 1 --optimizer adamw --schedule one-cycle",
    "replicas": f"{STUDENT} --method crd --epochs 6 --teacher-epochs 2 --devices cpu:2",
    "cached": f"{STUDENT} --method dkd --views 2 --epochs 6 --teacher-epochs 1 --optimizer dot "
    "--learning-rate 0.05",
    "chain": f"{STUDENT} --method kd --assistants plain_cnn4:width=0.5 --epochs 4 "
    "--teacher-epochs 1 --generations 2",
    "bfloat16": f"{STUDENT} --method ctkd --epochs 6 --teacher-epochs 4 "
    "--set precision=mixed_bfloat16",
    "mixed": f"{STUDENT} --method kd --epochs 6 --teacher-epochs 1 --mixup 0.2 --cutmix 1 "
    "--accumulate 2 --devices cpu:2",
    "two-stages": f"{STUDENT} --method ft:first_stage=0.4 --epochs 6 --teacher-epochs 1",
}
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
TIMES = {
    *("seconds", "milliseconds_per_image", "training_seconds", "images_per_second", "path"),
    *("speed/images_per_second", "megabytes"),
}


@dataclass(frozen=True)
class Kill:
    """A signal, sent some seconds after a number of new checkpoints (0: after the start)."""

    signal: signal.Signals
    seconds: float
    checkpoints: int


@click.command()
@click.option("--kills", default=6, show_default=True, help="number of kills of each recipe")
@click.option(
    "--recipe",
    "recipes",
    type=click.Choice([*RECIPES, "all"]),
    multiple=True,
    default=["plain"],
    show_default=True,
)
@click.option("--seed", default=0, show_default=True, help="seed of the moments")
@click.option("--output", type=Path, help="JSON file to write the counts to")
def main(kills: int, recipes: tuple[str, ...], seed: int, output: Path | None) -> None:
    # A shell ignores Ctrl-C for what runs in its background, and so would the runs below.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    about = {"processor": processor(), "cores": os.cpu_count(), "seed": seed}
    earlier = json.loads(output.read_text())["recipes"] if output and output.is_file() else {}
    outcomes = {}
    for recipe in RECIPES if "all" in recipes else recipes:
        outcomes[recipe] = about | torture(recipe, kills, seed)
        if output:
            output.write_text(json.dumps({"recipes": earlier | outcomes}, indent=2) + "\n")
    sys.exit(any(outcome["differences"] for outcome in outcomes.values()))


def torture(recipe: str, kills: int, seed: int) -> dict[str, Any]:
    """Runs a recipe undisturbed and killed; gives the kills and what differs at the end."""
    draw = random.Random(seed)
    deaths: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.environ["KD_KERAS_CACHE"] = str(folder / "cache")
        uninterrupted, killed = folder / "whole", folder / "killed"
        start = time.monotonic()
        if code := run(recipe, uninterrupted):
            return {"kills": 0, "differences": [f"the undisturbed run ended with code {code}"]}
        length = time.monotonic() - start
        print(f"{recipe}, undisturbed: {length:.0f} s", flush=True)
        shutil.rmtree(folder / "cache")  # the killed run makes its store and cache itself
        differences: list[str] = []
        while len(deaths) < kills and not differences:
            number = SIGNALS[len(deaths) % len(SIGNALS)]
            in_training = len(deaths) % 2 == 1
            seconds = draw.uniform(0, 0.3) if in_training else draw.uniform(0.2, length)
            code = run(recipe, killed, Kill(number, seconds, draw.randint(1, 9) * in_training))
            if code == 0:  # it had finished
                differences = compare(uninterrupted, killed)
                remove_end(killed, draw)
                continue
            death = {"signal": number.name, "code": code, "in_training": in_training}
            deaths.append({**death, "where": where(killed)})
            print(f"{len(deaths)}: {deaths[-1]}", flush=True)
        if not differences:
            code = run(recipe, killed)
            differences = (
                compare(uninterrupted, killed) if code == 0 else [f"it ended with code {code}"]
            )
        if differences:
            print((folder / "log.txt").read_text()[-3000:])
    print(f"{recipe}: {len(deaths)} kills, differences: {differences or 'none'}", flush=True)
    return {"kills": len(deaths), "differences": differences, "moments": deaths}


def processor() -> str:
    """The processor's name, where Linux tells it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(line.partition(": ")[2] for line in lines if line.startswith("model name"))


def run(recipe: str, folder: Path, kill: Kill | None = None) -> int:
    """Runs the command, kills it if told to, and gives its exit code."""
    words = f"train {COMMON} {RECIPES[recipe]} --run {folder}/run --export-dir {folder}/exports"
    with (folder.parent / "log.txt").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "kd_keras", *words.split()], stdout=log, stderr=log
        )
        if kill and has_come(kill, process, folder / "run" / "checkpoints"):
            process.send_signal(kill.signal)
        return process.wait()


def has_come(kill: Kill, process: subprocess.Popen, checkpoints: Path) -> bool:
    """Waits for a kill's moment; False if the process ends before it."""
    places = written(checkpoints)
    target = len(places) + kill.checkpoints
    while len(places) < target:
        if process.poll() is not None:
            return False
        time.sleep(0.005)
        places |= written(checkpoints)
    try:
        process.wait(kill.seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def written(checkpoints: Path) -> set[tuple[str, int]]:
    """Names and times of the checkpoints' headers; two phases give theirs the same names."""
    try:
        headers = [entry for entry in os.scandir(checkpoints) if entry.name.endswith(".json")]
        return {(header.name, header.stat().st_mtime_ns) for header in headers}
    except FileNotFoundError:  # the folder goes when a phase ends, a header when a newer one comes
        return set()


def where(folder: Path) -> str:
    """What the run folder says of how far the run is."""
    headers = sorted((folder / "run" / "checkpoints").glob("step-*.json"))
    phases = sorted(path.stem for path in (folder / "run").glob("*.keras"))
    at = "no checkpoint"
    if headers:
        try:
            header = json.loads(headers[-1].read_text())["position"]
            at = f"{'+'.join(header['models'])} epoch {header['epoch']} step {header['batch']}"
        except ValueError:
            at = f"{headers[-1].name} is half written"
    return f"finished: {', '.join(phases) or 'nothing'}; {at}"


def remove_end(folder: Path, draw: random.Random) -> None:
    """Takes a phase's model away, so that a finished run has something to do again."""
    models = sorted((folder / "run").glob("*.keras"))
    draw.choice(models).unlink()
    shutil.rmtree(folder / "run" / "ends", ignore_errors=True)
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
        differences += differing(*values, name)
    for scores in sorted((one / "run").glob("*.npy")):
        if scores.read_bytes() != (other / "run" / scores.name).read_bytes():
            differences.append(scores.name)
    curves = [scalars(folder / "run" / "logs") for folder in (one, other)]
    return differences + differing(*curves, "TensorBoard")


def differing(one: object, other: object, where: str) -> list[str]:
    """Paths of values that differ in nested dicts, without those that are times."""
    if isinstance(one, dict) and isinstance(other, dict):
        return [
            line
            for key in sorted(one.keys() | other.keys())
            if key not in TIMES
            for line in differing(one.get(key), other.get(key), f"{where}/{key}")
        ]
    return [] if one == other else [where]


def weights_of(path: Path) -> bytes:
    import h5py

    arrays = []

    def add(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            arrays.append(item[()].tobytes())

    with (
        zipfile.ZipFile(path) as archive,
        archive.open("model.weights.h5") as file,
        h5py.File(file, "r") as weights,
    ):
        weights.visititems(add)
    return b"".join(arrays)


def scalars(folder: Path) -> dict[str, dict[str, list[tuple[int, bytes]]]]:
    """Steps and values of each curve; a step that was written twice appears twice."""
    from tensorboard.backend.event_processing import event_accumulator

    curves = {}
    for logs in sorted({path.parent for path in folder.rglob("events.*")}):
        events = event_accumulator.EventAccumulator(str(logs), {"tensors": 0})
        events.Reload()
        for tag in events.Tags()["tensors"]:
            # Neither hyperparameters, with the run's path, nor the graph, with numbered layers.
            if not tag.startswith(("_hparams", "keras")):
                points = events.Tensors(tag)
                values = [(e.step, e.tensor_proto.SerializeToString()) for e in points]
                curves.setdefault(str(logs.relative_to(folder)), {})[tag] = values
    return curves


if __name__ == "__main__":
    main()
