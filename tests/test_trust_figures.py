"""The figures of README.md, SECURITY.md and docs/ are those of the JSON files."""

import json
import math
import re
from fractions import Fraction
from pathlib import Path

import numpy as np

from kd_keras import methods
from kd_keras.results.metrics import statistics

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
#: Methods that have one golden value for each of their two losses.
_OF_TWO_LOSSES = {"reviewkd": "reviewkd_hcl"}
#: Of docs/replicas.json.
PLACES = ("2 replicas", "4 replicas", "2 processes")


def read(name):
    return json.loads((ROOT / "docs" / name).read_text())


def page(name):
    return (ROOT / "docs" / name).read_text()


def figure_of(promise):
    """The cell of the figure, of the row of "Why trust it" whose promise begins so."""
    rows = [line for line in README.splitlines() if line.startswith(f"| {promise}")]
    assert len(rows) == 1, promise
    return rows[0].split(" | ")[1]


def up_to(value):
    """The number in one digit for "at most": never less than the value, such as 3e-7 of 2.4e-7."""
    exponent = math.floor(math.log10(value))
    digit = math.ceil(Fraction(value) / Fraction(10) ** exponent)
    return f"{digit}e{exponent}" if digit < 10 else f"1e{exponent + 1}"


def test_at_most_rounds_up():
    assert [up_to(2.42e-7), up_to(9.1e-7), up_to(2**-20)] == ["3e-7", "1e-6", "1e-6"]
    assert up_to(3.0) == "3e0"


def test_the_kills_of_interrupted_trainings():
    recipes = read("torture_resume.json")["recipes"]
    lines = page("how-to/continue.md").splitlines()
    for name, outcome in recipes.items():
        with_checkpoint = sum("no checkpoint" not in kill["where"] for kill in outcome["moments"])
        row = next(line for line in lines if line.startswith(f"| `{name}`: "))
        assert row.endswith(f"| {outcome['kills']} | {with_checkpoint} | none |")
        assert not outcome["differences"]
    kills = sum(outcome["kills"] for outcome in recipes.values())
    assert f"{kills} kills of {len(recipes)} recipes" in figure_of("A training that is killed")


def test_the_kills_of_one_of_two_machines():
    outcome = read("torture_machines.json")
    assert not outcome["differences"]
    assert {kill["killed"] for kill in outcome["moments"]} == {"first", "second"}
    assert {kill["code"] for kill in outcome["moments"]} == {2}
    seconds = [kill["seconds"] for kill in outcome["moments"]]
    sentence = f"the other one ended after {min(seconds)} to {max(seconds)} s with code 2"
    assert sentence in " ".join(page("how-to/machines.md").split())
    figure = figure_of("A training that is killed")
    assert f"and {outcome['kills']} of one of two machines: no difference" in figure


def largest_differences(results, settings):
    """By method and setting, over the replicas and processes, without what else a cell holds."""
    return {
        (name, setting): max(value for place, value in cell.items() if place in PLACES)
        for name, row in results.items()
        for setting, cell in row.items()
        if setting in settings
    }


def test_the_differences_of_replicas():
    results = read("replicas.json")["methods"]
    differences = largest_differences(results, ["plain", "uneven", "cached"])
    names = {name for name, setting in differences if setting == "plain"}
    assert names == set(methods.names())
    assert figure_of("Several replicas and processes train the weights of one device") == (
        "weights differ, as a share of the largest one, by at most "
        f"{up_to(max(differences.values()))} after 20 steps on 2 and 4 replicas and in 2 processes "
        f"({len(names)} methods, each at a learning rate at which one device alone does not "
        "amplify rounding)"
    )


def test_the_random_inputs():
    document = read("fuzz.json")
    security = (ROOT / "SECURITY.md").read_text()
    for name, counts in document["kinds"].items():
        row = next(line for line in security.splitlines() if line.startswith(f"| `{name}`: "))
        ends = " | ".join(f"{counts[end]:,}" for end in ("cases", "success", "message", "fault"))
        assert row.endswith(f"| {ends} |"), name
    total = document["total"]
    cases = f"{total['cases']:,} random inputs"
    assert cases in security
    assert figure_of("Broken input ends") == f"{cases}: no fault"
    assert (total["fault"], document["faults"]) == (0, [])
    assert sum(document["runs"].values()) == 6


def test_the_full_disks():
    counts = read("full_disks.json")["counts"]
    names = {"full": "the disk is full", "read-only": "the disk is read-only"}
    for fault, ends in counts.items():
        start = f"| {names.get(fault, 'the folder is removed')} |"
        row = next(line for line in page("how-to/continue.md").splitlines() if start in line)
        cells = [sum(ends.values()), ends["message"], ends["goes on"], ends["WRONG"]]
        assert [int(re.match(r"\d+", cell)[0]) for cell in row.split("| ")[2:]] == cells
    messages, finished = (
        sum(ends[end] for ends in counts.values()) for end in ("message", "goes on")
    )
    kinds = (messages + finished) // len(counts)
    assert figure_of("Where a disk is full") == (
        f"{kinds} kinds of files, each with all three: {messages} messages, {finished} finished "
        "commands, nothing else lost"
    )


def test_the_methods_with_reference_values():
    cases = (ROOT / "tests" / "parity").glob("*.npz")
    checked = {json.loads(str(np.load(case)["config"]))["method"] for case in cases}
    names = methods.names()
    count = sum(_OF_TWO_LOSSES.get(name, name) in checked for name in names)
    assert figure_of("Methods compute what") == f"{count} of {len(names)} methods"
    for text in (README, page("index.md")):
        assert f"**{len(names)} methods** from the literature; {count} are checked" in text
    assert f"{count} of {len(names)} methods checked" in (ROOT / "setup.cfg").read_text()


def test_the_gain_on_tiny_imagenet():
    gains = read("tiny_imagenet.json")["gains"]
    mean, low, high = statistics.paired_interval(gains)
    figure = f"{mean:.1f} points of top-1 ({low:.1f} to {high:.1f}), three seeds"
    assert figure in figure_of("The student gains over")
    assert f"{mean:.1f} points more top-1" in README
    assert f"interval over them {low:.1f} to {high:.1f})" in README
    assert len(gains) == 3


def test_the_exported_files():
    runs = read("exports.json")["runs"]
    differences = [
        file["max_abs_difference"]
        for run in runs.values()
        for file in run["files"].values()
        if file.get("quantize") == "none"
    ]
    assert figure_of("An exported float32 file") == (
        f"probabilities at most {up_to(max(differences))} apart, {len(differences)} files of "
        f"{len(runs)} models"
    )


def test_the_growth_with_the_number_of_classes():
    after = read("growth.json")["after"]
    made, reading = (round(after[f"{way}_images_per_second"], -2) for way in ("made", "read"))
    assert figure_of(f"With {after['classes']:,} classes") == (
        f"one core: 200,000 labels split in {after['holdout_seconds']:.2f} s; rows made at "
        f"{made:,.0f} images a second with {after['making_megabytes']:.0f} MB, read at "
        f"{round(reading, -4):,.0f}"
    )


def test_the_speed_beside_keras_distillation():
    pairs = read("bench_step.json")["pairs"].values()
    ratios = {
        form: sorted(pair[form] / pair["keras.distillation"] for pair in pairs)
        for form in ("online", "online, float32")
    }
    default, in_float32 = (f"{part[0]:.1f} to {part[-1]:.1f} times" for part in ratios.values())
    text = " ".join(README.split())
    assert f"a step is {default} as fast as with `keras.distillation`" in text
    assert f"with float32 on both sides, {in_float32})" in text


def test_the_seeds_of_the_quickstart():
    document = read("quickstart.json")
    rows = {str(seed["seed"]): seed for seed in document["seeds"]} | {"mean": document["mean"]}
    start = page("start.md")
    for name, row in rows.items():
        top1 = " | ".join(f"{row[model]:.1f}" for model in ("teacher", "baseline", "student"))
        gain = " to ".join(f"{row[end]:+.1f}" for end in ("low", "high"))
        assert f"| {name} | {top1} | {row['gain']:+.1f} ({gain}) |" in start
    seconds = sorted(seed["seconds"] for seed in document["seeds"])
    for text in (README, start):
        assert f"took {seconds[0]:.0f} to {seconds[-1]:.0f} s in " in " ".join(text.split())
    assert f"gains {document['mean']['gain']:.1f} points ([five seeds]" in README


def test_the_seconds_of_importing_tensorflow():
    seconds = read("bench_start.json")["commands"]['python -c "import keras, tensorflow"']
    figure = f"importing Keras and TensorFlow ({np.median(seconds):.1f} s in each process, [Speed]"
    assert figure in (ROOT / "CONTRIBUTING.md").read_text()
